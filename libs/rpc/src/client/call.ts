/** Calls as promises and iterables. Every failure is a PartitaError. */
import { Metadata } from '@grpc/grpc-js';
import type { Client, MethodDefinition, ServiceError } from '@grpc/grpc-js';
import { DEADLINE_MS_MAX, PartitaError } from '@partita/domain';
import { fromServiceError } from '../status.ts';
import type { StatusReading } from '../status.ts';

export interface CallOptions {
  /** Milliseconds from now. Default: DEADLINE_MS_MAX for a unary call, none for a stream. */
  readonly deadlineMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Given away: the call adds to it. */
  readonly metadata?: Metadata | undefined;
}

export interface UnaryCallOptions extends CallOptions {
  /** True = the call appends: when in doubt it fails with OUTCOME_UNKNOWN. */
  readonly append?: boolean;
}

/**
 * A request and its response: `callUnary(pool.client(address), TopicServiceService.createTopic, request)`. Rejects with
 * PartitaError; an aborted `signal` with CANCELLED, or OUTCOME_UNKNOWN once an append may have left.
 */
export function callUnary<Request, Response>(
  client: Client,
  method: MethodDefinition<Request, Response>,
  request: Request,
  options: UnaryCallOptions = {},
): Promise<Response> {
  return new Promise((resolve, reject) => {
    const { signal } = options;
    if (signal?.aborted === true) {
      reject(cancelledBefore());
      return;
    }
    const done = (error: ServiceError | null, response: Response | undefined): void => {
      signal?.removeEventListener('abort', cancel);
      if (error === null && response !== undefined) resolve(response);
      else if (error !== null) reject(fromServiceError(error, reading(client, options.append)));
    };
    const call = startOrThrow(() =>
      client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        options.metadata ?? new Metadata(),
        { deadline: Date.now() + Math.min(options.deadlineMs ?? DEADLINE_MS_MAX, DEADLINE_MS_MAX) },
        done,
      ),
    );
    const cancel = (): void => call.cancel();
    signal?.addEventListener('abort', cancel, { once: true });
  });
}

/**
 * The responses of a server stream, one by one; the server is pushed back while nobody asks for the next. Throws
 * PartitaError; leaving the loop cancels the call. For many messages a second use openServerStream.
 */
export async function* serverStream<Request, Response>(
  client: Client,
  method: MethodDefinition<Request, Response>,
  request: Request,
  options: CallOptions = {},
): AsyncGenerator<Response, void, undefined> {
  const { signal } = options;
  if (signal?.aborted === true) throw cancelledBefore();
  const call = startOrThrow(() =>
    client.makeServerStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
      options.metadata ?? new Metadata(),
      options.deadlineMs === undefined ? {} : { deadline: Date.now() + options.deadlineMs },
    ),
  );
  const cancel = (): void => call.cancel();
  signal?.addEventListener('abort', cancel, { once: true });
  try {
    for await (const message of call) yield message as Response;
  } catch (error) {
    throw fromServiceError(error as ServiceError, reading(client, false));
  } finally {
    signal?.removeEventListener('abort', cancel);
    call.cancel();
  }
}

/** How to read the status of a call through `client`. */
export function reading(client: Client, append: boolean | undefined): StatusReading {
  return {
    append: append ?? false,
    address: client
      .getChannel()
      .getTarget()
      .replace(/^(dns|ipv4|ipv6):/, ''),
  };
}

/** grpc-js throws plain errors from calls on a closed client. Nothing has left then. */
export function startOrThrow<Call>(start: () => Call): Call {
  try {
    return start();
  } catch (cause) {
    throw new PartitaError('CANCELLED', 'the client is closed', {}, { cause });
  }
}

export function cancelledBefore(): PartitaError {
  return new PartitaError('CANCELLED', 'the call was cancelled before it was sent');
}
