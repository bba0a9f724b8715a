/** The same HTTP/2 receive windows at the raw peers' servers as at ours (libs/rpc), set the same way. */
import { subscribe } from 'node:diagnostics_channel';
import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import { CONNECTION_WINDOW_BYTES, STREAM_WINDOW_BYTES } from '../workload.ts';

/** For all servers of the process. */
export function raiseWindows(): void {
  const raised = new WeakSet<ServerHttp2Session>();
  subscribe('http2.server.stream.created', (message) => {
    const session = (message as { readonly stream: ServerHttp2Stream }).stream.session as ServerHttp2Session;
    if (raised.has(session)) return;
    raised.add(session);
    session.settings({ initialWindowSize: STREAM_WINDOW_BYTES });
    session.setLocalWindowSize(CONNECTION_WINDOW_BYTES);
  });
}
