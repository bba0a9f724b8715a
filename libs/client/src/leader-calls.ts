/** Unary calls to whoever leads a partition, tried again with the new leader or later while the failure may pass. */
import type { MethodDefinition } from '@grpc/grpc-js';
import { asPartitaError, CLIENT_CALL_ATTEMPT_COUNT_MAX, DEADLINE_MS_MAX, PartitaError } from '@partita/domain';
import type { ErrorReason } from '@partita/domain';
import { ClusterServiceService } from '@partita/protocol';
import { backoffDelayMs, callUnary } from '@partita/rpc/client';
import type { ChannelPool } from '@partita/rpc/client';
import { clientError } from './client-error.ts';
import { JITTER } from './jitter.ts';
import { pause } from './pause.ts';
import { isPaid, RetryBudget } from './retry-budget.ts';
import type { ServiceCallOptions, ServiceCalls } from './service-calls.ts';

/** Whose leader is called. */
export interface NamedPartition {
  readonly topic: string;
  readonly partition: number;
}

/** A call. The request must be safe to repeat. */
export interface LeaderCall<Request, Response, Result> {
  readonly method: MethodDefinition<Request, Response>;
  readonly request: Request;
  /** What the caller wants of the answer; throws the error of an entry. */
  readonly resultOf: (response: Response) => Result;
}

/** Failures that a new route, or a moment, may mend. All of them leave a request that is safe to repeat as it was. */
const RETRIED_REASONS: ReadonlySet<ErrorReason> = new Set<ErrorReason>([
  'NOT_LEADER',
  'LEADER_NOT_AVAILABLE',
  'REPLICA_NOT_FOUND',
  'SERVICE_UNREACHABLE',
  'SHUTTING_DOWN',
  'NOT_YET',
  'NOT_ENOUGH_REPLICAS',
  'QUEUE_FULL',
  'STORAGE_FAILED',
]);

export class LeaderCalls {
  readonly #pool: ChannelPool;
  readonly #budget = new RetryBudget();
  readonly #services: ServiceCalls;

  constructor(pool: ChannelPool, services: ServiceCalls) {
    this.#pool = pool;
    this.#services = services;
  }

  /** Rejects with ClientError. */
  async call<Request, Response, Result>(
    partition: NamedPartition,
    call: LeaderCall<Request, Response, Result>,
    options: ServiceCallOptions = {},
  ): Promise<Result> {
    const untilMs = performance.now() + (options.deadlineMs ?? DEADLINE_MS_MAX);
    this.#budget.called();
    /** Where the last NOT_LEADER answer has sent us. */
    let hint: string | undefined;
    let before: PartitaError | undefined;
    for (let attempt = 0; ; attempt += 1) {
      const tried = await this.#attempt(partition, call, hint, { untilMs, signal: options.signal });
      if ('result' in tried) return tried.result;
      const { error } = tried;
      // Time ran out while the routes were asked for: what went wrong before tells more.
      if (!tried.isRouted && error.reason === 'TIMED_OUT') throw clientError(before ?? error);
      before = error;
      // Two brokers that each take the other for the leader must not be asked in turn for ever: one hint, then the routes.
      hint = error.reason === 'NOT_LEADER' && hint === undefined ? error.metadata['address'] : undefined;
      const delayMs = hint === undefined ? (error.retryAfterMs ?? backoffDelayMs(attempt, JITTER)) : 0;
      const isLate = performance.now() + delayMs >= untilMs || attempt + 1 >= CLIENT_CALL_ATTEMPT_COUNT_MAX;
      if (isLate || !this.#mayRepeat(error, options.signal)) throw clientError(error);
      await pause(delayMs, options.signal);
    }
  }

  #mayRepeat(error: PartitaError, signal: AbortSignal | undefined): boolean {
    return mayPass(error, signal) && (!isPaid(error) || this.#budget.trySpend());
  }

  /** `isRouted`: a leader was known, so the call may have reached it. */
  async #attempt<Request, Response, Result>(
    partition: NamedPartition,
    { method, request, resultOf }: LeaderCall<Request, Response, Result>,
    hint: string | undefined,
    { untilMs, signal }: { readonly untilMs: number; readonly signal: AbortSignal | undefined },
  ): Promise<{ readonly result: Result } | { readonly error: PartitaError; readonly isRouted: boolean }> {
    const leftMs = (): number => Math.max(1, untilMs - performance.now());
    let address = hint;
    try {
      address ??= await this.#leaderAddress(partition, { deadlineMs: leftMs(), signal });
      const client = this.#pool.client(address);
      return { result: resultOf(await callUnary(client, method, request, { deadlineMs: leftMs(), signal })) };
    } catch (thrown) {
      return { error: asPartitaError(thrown), isRouted: address !== undefined };
    }
  }

  async #leaderAddress({ topic, partition }: NamedPartition, options: ServiceCallOptions): Promise<string> {
    const request = { topics: [topic] };
    const answer = await this.#services.call('coordinator', ClusterServiceService.getRoutes, request, options);
    const found = answer.routes.find((route) => route.topic === topic)?.partitions;
    const metadata = { topic, partition: String(partition) };
    const route = found?.find((candidate) => candidate.partition === partition);
    if (found !== undefined && route === undefined) {
      const message = `topic "${topic}" has partitions 0 to ${found.length - 1}, not ${partition}`;
      throw new PartitaError('PARTITION_NOT_FOUND', message, metadata);
    }
    const leader = answer.brokers.find(({ brokerId }) => brokerId === route?.leaderId);
    if (leader !== undefined && route?.leaderId !== 0) return leader.address;
    const message = `partition ${partition} of "${topic}" has no leader at the moment`;
    throw new PartitaError('LEADER_NOT_AVAILABLE', message, metadata);
  }
}

function mayPass({ reason }: PartitaError, signal: AbortSignal | undefined): boolean {
  return RETRIED_REASONS.has(reason) && signal?.aborted !== true;
}
