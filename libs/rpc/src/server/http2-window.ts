/**
 * Raises a server session's HTTP/2 receive windows. Node's default of 64 KiB caps a connection at 64 KiB a round trip, and
 * grpc-js has an option for it on the client only.
 */
import type { ServerHttp2Session } from 'node:http2';
import type { ListenerLimits } from './limits.ts';

/** Call it once per session: `settings` for each stream, the local window for all streams together. */
export function raiseWindow(
  session: ServerHttp2Session,
  limits: Pick<ListenerLimits, 'streamWindowBytes' | 'connectionWindowBytes'>,
): void {
  session.settings({ initialWindowSize: limits.streamWindowBytes });
  session.setLocalWindowSize(limits.connectionWindowBytes);
}
