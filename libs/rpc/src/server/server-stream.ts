/** Binds a method with a stream of responses to grpc-js. */
import type { MethodDefinition, handleServerStreamingCall } from '@grpc/grpc-js';
import { requestIdOf } from '../metadata.ts';
import { OpenCall } from './call-context.ts';
import type { ServerStreamMethod } from './methods.ts';
import { Sender } from './sender.ts';
import type { ServerCore } from './server-core.ts';
import { Unreadable } from './unreadable.ts';

export function bindServerStream<Request, Response>(
  core: ServerCore,
  definition: MethodDefinition<Request, Response>,
  method: ServerStreamMethod<Request, Response>,
): handleServerStreamingCall<Request | Unreadable, Response> {
  const { path } = definition;
  return (call) => {
    const requestId = requestIdOf(call.metadata);
    const { request } = call;
    let sender: Sender<Response> | undefined;
    try {
      core.admit();
      const context = new OpenCall(path, call, requestId, core.draining, Infinity);
      if (request instanceof Unreadable) throw request.error();
      const open = new Sender<Response>(core, context, call);
      sender = open;
      const running = method.handle(request, open, context);
      if (running instanceof Promise) running.catch((error: unknown) => open.end(error));
    } catch (error) {
      if (sender === undefined) call.emit('error', core.failure(error, path, requestId));
      else sender.end(error);
    }
  };
}
