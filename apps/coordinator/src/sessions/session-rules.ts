/** What every peer session begins and ends with. */
import { BROKER_HEARTBEAT_MS, PartitaError, PEER_PROTOCOL_VERSION } from '@partita/domain';
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

/** A process that was killed is not heard any more, and its session ends with its connection. */
const TWIN_SILENCE_MS_MIN = 2 * BROKER_HEARTBEAT_MS;

/**
 * Throws INVALID_REQUEST for a later start of a broker that is heard all the same: the lock of a directory lets one process
 * have it, so that one of the two has a copy, which does not hold what the other has acknowledged since. The newcomer
 * tries again for a while, in which the other may turn out to be gone.
 */
export function checkNoTwin(
  newcomer: { readonly brokerId: number; readonly incarnation: bigint },
  present: { readonly incarnation: bigint; readonly heardAtMs: number } | undefined,
  nowMs: number,
): void {
  if (present === undefined || newcomer.incarnation <= present.incarnation) return;
  if (nowMs - present.heardAtMs >= TWIN_SILENCE_MS_MIN) return;
  throw new PartitaError(
    'INVALID_REQUEST',
    `broker id ${newcomer.brokerId} is in use by a live broker with this very data directory: one of the two runs on a copy; ` +
      'remove the copy, and start a new broker with an empty directory and an id of its own',
    { broker_id: String(newcomer.brokerId) },
  );
}

/** Ends a session when the server drains: the peer looks for another coordinator, or dials again. */
export function endWhenDraining(stream: ServerStream<never>, { draining }: CallContext): void {
  const end = () => stream.end(new PartitaError('SHUTTING_DOWN', 'this coordinator is stopping: dial again'));
  draining.addEventListener('abort', end, { once: true });
  stream.onClose(() => draining.removeEventListener('abort', end));
}
