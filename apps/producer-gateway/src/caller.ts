/** Whose a request is: what the limits in flight are counted by. */
import type { CallContext } from '@partita/rpc/server';

export interface Caller {
  /** Shared by all who name themselves so; those who do not name themselves share the name of their address. */
  readonly client: string;
  /** Remote `host:port`. */
  readonly connection: string;
  /** Nobody waits for the answer any more. */
  readonly isOver: boolean;
}

/** The caller of a call or stream, for as long as that lasts. */
export function callerOf(context: CallContext): Caller {
  const { clientId, peer } = context;
  return {
    client: clientId === '' ? `at ${hostOf(peer)}` : `id ${clientId}`,
    connection: peer,
    get isOver() {
      return context.isOver;
    },
  };
}

function hostOf(peer: string): string {
  const colon = peer.lastIndexOf(':');
  return colon < 0 ? peer : peer.slice(0, colon);
}
