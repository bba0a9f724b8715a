/** Unary calls to a service wherever it is, tried again elsewhere or later while the failure may pass. */
import type { MethodDefinition } from '@grpc/grpc-js';
import { asPartitaError, CLIENT_CALL_ATTEMPT_COUNT_MAX, DEADLINE_MS_MAX } from '@partita/domain';
import type { PartitaError } from '@partita/domain';
import { retryAdviceOf } from '@partita/rpc';
import { backoffDelayMs, callUnary } from '@partita/rpc/client';
import type { ChannelPool } from '@partita/rpc/client';
import { clientError } from './client-error.ts';
import type { Endpoints, ServiceName } from './endpoints.ts';
import { pause } from './pause.ts';
import { isPaid, RetryBudget } from './retry-budget.ts';
import { JITTER } from './jitter.ts';

export interface ServiceCallOptions {
  readonly signal?: AbortSignal | undefined;
  /** For all tries together, milliseconds. Default DEADLINE_MS_MAX. */
  readonly deadlineMs?: number | undefined;
}

export class ServiceCalls {
  readonly endpoints: Endpoints;
  readonly #pool: ChannelPool;
  readonly #budget = new RetryBudget();

  constructor(pool: ChannelPool, endpoints: Endpoints) {
    this.#pool = pool;
    this.endpoints = endpoints;
  }

  /** The answer of any instance of the service. Rejects with ClientError. The request must be safe to repeat. */
  async call<Request, Response>(
    service: ServiceName,
    method: MethodDefinition<Request, Response>,
    request: Request,
    options: ServiceCallOptions = {},
  ): Promise<Response> {
    const untilMs = performance.now() + (options.deadlineMs ?? DEADLINE_MS_MAX);
    this.#budget.called();
    for (let attempt = 0; ; attempt += 1) {
      let address: string | undefined;
      try {
        address = await this.endpoints.addressOf(service);
        const deadlineMs = Math.max(1, untilMs - performance.now());
        return await callUnary(this.#pool.client(address), method, request, { deadlineMs, signal: options.signal });
      } catch (thrown) {
        const error = asPartitaError(thrown);
        if (address !== undefined && error.reason === 'SERVICE_UNREACHABLE') this.endpoints.suspect(address);
        const delayMs = error.retryAfterMs ?? backoffDelayMs(attempt, JITTER);
        const late = performance.now() + delayMs >= untilMs;
        const aborted = options.signal?.aborted === true;
        const isLast = late || aborted || attempt + 1 >= CLIENT_CALL_ATTEMPT_COUNT_MAX;
        if (isLast || !mayPass(error) || (isPaid(error) && !this.#budget.trySpend())) throw clientError(error);
        await pause(delayMs, options.signal);
      }
    }
  }
}

/** Failures that another instance, or the same one a little later, may not have. */
function mayPass(error: PartitaError): boolean {
  switch (retryAdviceOf(error)) {
    case 'BACKOFF':
      return error.reason !== 'TIMED_OUT';
    case 'AFTER_DELAY':
      return true;
    case 'REFRESH':
      return error.reason === 'NOT_ACTIVE_COORDINATOR' || error.reason === 'NOT_GROUP_OWNER';
    default:
      return false;
  }
}
