/** What every peer session begins and ends with. */
import { PartitaError, PEER_PROTOCOL_VERSION } from '@partita/domain';
import type { CallContext, ServerStream } from '@partita/rpc/server';

/** WRONG_CLUSTER or VERSION_NOT_SUPPORTED; an empty cluster id is for the caller to allow or not. */
export function checkPeer(
  peer: { readonly clusterId: string; readonly protocolVersion: number },
  clusterId: string,
): void {
  if (peer.clusterId !== clusterId) {
    throw new PartitaError(
      'WRONG_CLUSTER',
      `this is cluster ${clusterId}, not ${peer.clusterId}: check --cluster-id and the coordinator's address`,
      { cluster_id: clusterId, given: peer.clusterId },
    );
  }
  if (peer.protocolVersion === PEER_PROTOCOL_VERSION) return;
  throw new PartitaError(
    'VERSION_NOT_SUPPORTED',
    `peers speak version ${PEER_PROTOCOL_VERSION} here, not ${peer.protocolVersion}: run the same release everywhere`,
    { supported: String(PEER_PROTOCOL_VERSION), given: String(peer.protocolVersion) },
  );
}

/** Ends a session when the server drains: the peer looks for another coordinator, or dials again. */
export function endWhenDraining(stream: ServerStream<never>, { draining }: CallContext): void {
  const end = () => stream.end(new PartitaError('SHUTTING_DOWN', 'this coordinator is stopping: dial again'));
  draining.addEventListener('abort', end, { once: true });
  stream.onClose(() => draining.removeEventListener('abort', end));
}
