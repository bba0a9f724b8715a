/** Binds a unary method to grpc-js: callback to promise, deadline, cancellation, errors, relay. */
import type { MethodDefinition, ServerUnaryCall, handleUnaryCall, sendUnaryData } from '@grpc/grpc-js';
import { PartitaError } from '@partita/domain';
import { requestIdOf } from '../metadata.ts';
import { OpenCall, UNARY_BUDGET_MS_MAX } from './call-context.ts';
import type { UnaryMethod } from './methods.ts';
import { isRelayed, relayUnary } from './relay.ts';
import type { ServerCore } from './server-core.ts';
import { trailers } from './server-core.ts';
import { Unreadable } from './unreadable.ts';

/** The handler of a unary method. It answers exactly once; an answer after the call is over is dropped. */
export function bindUnary<Request, Response>(
  core: ServerCore,
  definition: MethodDefinition<Request, Response>,
  method: UnaryMethod<Request, Response>,
): handleUnaryCall<Request | Unreadable, Response> {
  const { path } = definition;
  return (call, callback) => {
    const requestId = requestIdOf(call.metadata);
    const { request } = call;
    let context: OpenCall;
    try {
      core.admit();
      context = new OpenCall(path, call, requestId, core.draining, UNARY_BUDGET_MS_MAX);
      if (request instanceof Unreadable) throw request.error();
    } catch (error) {
      callback(core.failure(error, path, requestId));
      return;
    }
    const answer = new Answer(core, context, call, callback, method.append);
    let result: Response | Promise<Response>;
    try {
      const target = isRelayed(context) ? undefined : method.relay?.target(context, request);
      const run = (address: string | undefined): Response | Promise<Response> =>
        method.relay === undefined || address === undefined
          ? method.handle(request, context)
          : relayUnary(method.relay.pool.client(address), definition, request, context, method.relay.append);
      result = target instanceof Promise ? target.then(run) : run(target);
    } catch (error) {
      answer.fail(error);
      return;
    }
    if (result instanceof Promise) result.then(answer.succeed, answer.fail);
    else answer.succeed(result);
  };
}

/** The one answer of a call. */
class Answer<Response> {
  readonly #core: ServerCore;
  readonly #context: OpenCall;
  readonly #callback: sendUnaryData<Response>;
  #timer: NodeJS.Timeout | undefined;
  #over = false;

  constructor(
    core: ServerCore,
    context: OpenCall,
    call: ServerUnaryCall<unknown, Response>,
    callback: sendUnaryData<Response>,
    append: boolean,
  ) {
    this.#core = core;
    this.#context = context;
    this.#callback = callback;
    // grpc-js ends a call at the caller's own deadline; a timer is needed only where that is missing or beyond ours.
    if (Number(call.getDeadline()) - Date.now() > UNARY_BUDGET_MS_MAX) {
      this.#timer = setTimeout(() => {
        const reason = append ? 'OUTCOME_UNKNOWN' : 'TIMED_OUT';
        this.fail(new PartitaError(reason, `the call took longer than ${UNARY_BUDGET_MS_MAX} ms`));
      }, UNARY_BUDGET_MS_MAX);
    }
    // grpc-js tells the end of any call by this event: answered, cancelled, cut or too late.
    call.once('cancelled', () => this.#close());
  }

  readonly succeed = (response: Response): void => {
    if (this.#close()) this.#callback(null, response, trailers(this.#context.requestId));
  };

  readonly fail = (error: unknown): void => {
    if (this.#close()) this.#callback(this.#core.failure(error, this.#context.path, this.#context.requestId));
  };

  /** True the first time. */
  #close(): boolean {
    if (this.#over) return false;
    this.#over = true;
    clearTimeout(this.#timer);
    this.#context.abort();
    return true;
  }
}
