/** Unary calls to partition leaders, tried again while a new route or a pause can help and the deadline allows. */
import { asPartitaError, PartitaError, REQUEST_PARTITION_COUNT_MAX } from '@partita/domain';
import { pause } from '@partita/client';
import type { RouteCache } from '@partita/client';
import { BrokerServiceService } from '@partita/protocol';
import type {
  AppendAck,
  AppendEntry,
  FetchedPartition,
  FetchPartition,
  ListOffsetsResult,
  OffsetSpec,
} from '@partita/protocol';
import { fromRpcStatus, outcomeOf, retryAdviceOf } from '@partita/rpc';
import { backoffDelayMs, callUnary } from '@partita/rpc/client';
import type { ChannelPool } from '@partita/rpc/client';
import { systemRandom } from '@partita/runtime';
import { inAppendSpan } from './append-span.ts';

/** A partition as brokers are asked for it. */
export interface PartitionName {
  readonly topicId: string;
  readonly topic: string;
  readonly partition: number;
}

/** A position to resolve. */
export interface PositionEntry extends PartitionName {
  readonly position: OffsetSpec;
  /** True = what lies behind the position is measured too. */
  readonly withLag?: boolean;
}

interface OpenEntry {
  readonly entry: PositionEntry;
  /** Its place among the entries. */
  readonly index: number;
}

/** How long a call may take in all. */
export interface CallLimits {
  readonly deadlineMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** Who is asked, and for the how manieth time, from 1. */
interface Where {
  readonly brokerId: number;
  readonly attempt: number;
}

type Client = ReturnType<ChannelPool['client']>;

/** Refusals that only look temporary: the caller decides what they mean. */
const FINAL_REASONS: ReadonlySet<string> = new Set(['FENCED_CLAIM', 'LOG_TRUNCATED']);
const RETRIED_ADVICE: ReadonlySet<string> = new Set(['BACKOFF', 'AFTER_DELAY', 'REFRESH']);
/** Left to the answer's way back, of the time that a broker waits. */
const ANSWER_MARGIN_MS = 2000;

export class LeaderCalls {
  readonly #routes: RouteCache;
  readonly #pool: ChannelPool;

  constructor(routes: RouteCache, pool: ChannelPool) {
    this.#routes = routes;
    this.#pool = pool;
  }

  /** Resolves a position; the answer also tells where the log begins and ends. */
  async listOffset(name: PartitionName, position: OffsetSpec, limits: CallLimits): Promise<ListOffsetsResult> {
    const [result] = await this.listOffsets([{ ...name, position }], limits);
    if (result === undefined) throw noLeader(name);
    if (result instanceof PartitaError) throw result;
    return result;
  }

  /**
   * Resolves many positions, with one call at a time per broker that leads some of them. Answers in the order of the
   * entries, the error where there is none: one partition without a leader says nothing of the others.
   */
  async listOffsets(
    entries: readonly PositionEntry[],
    limits: CallLimits,
  ): Promise<readonly (ListOffsetsResult | PartitaError)[]> {
    const results: (ListOffsetsResult | PartitaError)[] = entries.map((entry) => noLeader(entry));
    const deadlineAtMs = performance.now() + limits.deadlineMs;
    let open = entries.map((entry, index) => ({ entry, index }));
    for (let attempt = 0; open.length > 0; attempt++) {
      const leftMs = Math.max(1, deadlineAtMs - performance.now());
      await Promise.all(
        this.#byLeader(open).map(async ([address, asked]) => {
          const answers = await this.#askForOffsets(address, asked, { ...limits, deadlineMs: leftMs });
          asked.forEach(({ index, entry }, at) => (results[index] = answers[at] ?? noLeader(entry)));
        }),
      );
      open = open.filter(({ index }) => results[index] instanceof PartitaError && mayRetry(results[index]));
      const delayMs = backoffDelayMs(attempt, systemRandom);
      if (limits.signal?.aborted === true || performance.now() + delayMs >= deadlineAtMs) break;
      if (open.length > 0) await this.#changeOrPause(delayMs, limits.signal);
    }
    return results;
  }

  /** Entries by the address of their leader, in parts that one call carries. Those without a leader are left out. */
  #byLeader(open: readonly OpenEntry[]): [string, OpenEntry[]][] {
    const calls: [string, OpenEntry[]][] = [];
    const filling = new Map<string, OpenEntry[]>();
    for (const one of open) {
      const address = this.#routes.leader(one.entry.topicId, one.entry.partition)?.address;
      if (address === undefined) continue;
      let call = filling.get(address);
      if (call === undefined || call.length >= REQUEST_PARTITION_COUNT_MAX) {
        call = [];
        filling.set(address, call);
        calls.push([address, call]);
      }
      call.push(one);
    }
    return calls;
  }

  async #askForOffsets(
    address: string,
    asked: readonly OpenEntry[],
    limits: CallLimits,
  ): Promise<readonly (ListOffsetsResult | PartitaError)[]> {
    try {
      const request = { entries: asked.map(({ entry }) => ({ withLag: false, ...entry })) };
      const options = { deadlineMs: limits.deadlineMs, ...signalOf(limits) };
      const { results } = await callUnary(
        this.#pool.client(address),
        BrokerServiceService.listOffsets,
        request,
        options,
      );
      return results.map((result) => {
        if (result.error === undefined) return result;
        const error = fromRpcStatus(result.error);
        if (error.reason === 'NOT_LEADER') this.#routes.applyHint(error);
        return error;
      });
    } catch (thrown) {
      const error = asPartitaError(thrown);
      return asked.map(() => error);
    }
  }

  /** Reads batches, waiting up to `maxWaitMs` for some. */
  fetch(want: FetchPartition & { readonly maxWaitMs: number }, limits: CallLimits): Promise<FetchedPartition> {
    const { maxWaitMs, ...partition } = want;
    return this.#atLeader(partition, limits, async (client, deadlineMs) => {
      const request = {
        partitions: [partition],
        maxBytes: partition.maxBytes,
        minBytes: maxWaitMs > 0 ? 1 : 0,
        maxWaitMs,
      };
      const options = { deadlineMs: Math.max(deadlineMs, maxWaitMs + ANSWER_MARGIN_MS), ...signalOf(limits) };
      const { partitions } = await callUnary(client, BrokerServiceService.fetch, request, options);
      // Without news there may be no entry at all.
      return partitions.length === 0 ? nothingNew(partition) : succeeded(partitions[0], partition);
    });
  }

  /** Appends one batch. Doubt is thrown as OUTCOME_UNKNOWN at once: only the caller knows whether a repeat would hurt. */
  append(entry: AppendEntry, limits: CallLimits, traces: readonly string[] = []): Promise<AppendAck> {
    const { topic, partition } = entry;
    return this.#atLeader(entry, limits, (client, deadlineMs, { brokerId, attempt }) =>
      inAppendSpan({ topic, partition, brokerId, attempt }, traces, async (traceparent) => {
        const options = { deadlineMs, append: true, ...signalOf(limits) };
        const entries = [traceparent === '' ? entry : { ...entry, traceparent }];
        const { results } = await callUnary(client, BrokerServiceService.append, { entries }, options);
        const outcome = results[0]?.outcome;
        if (outcome?.$case === 'ack') return outcome.ack;
        if (outcome?.$case === 'error') throw fromRpcStatus(outcome.error);
        throw new PartitaError('OUTCOME_UNKNOWN', 'the broker answered the append without a result');
      }),
    );
  }

  async #atLeader<T>(
    name: PartitionName,
    limits: CallLimits,
    call: (client: Client, deadlineMs: number, where: Where) => Promise<T>,
  ): Promise<T> {
    const deadlineAtMs = performance.now() + limits.deadlineMs;
    for (let attempt = 0; ; attempt++) {
      const leftMs = deadlineAtMs - performance.now();
      const route = this.#routes.leader(name.topicId, name.partition);
      let error: PartitaError;
      try {
        if (route === undefined) throw noLeader(name);
        const where = { brokerId: route.brokerId, attempt: attempt + 1 };
        return await call(this.#pool.client(route.address), Math.max(1, leftMs), where);
      } catch (thrown) {
        error = asPartitaError(thrown);
      }
      if (error.reason === 'NOT_LEADER') this.#routes.applyHint(error);
      else if (attempt > 0) this.#routes.suspectLeader(name.topic);
      const delayMs = Math.max(error.retryAfterMs ?? 0, backoffDelayMs(attempt, systemRandom));
      if (!mayRetry(error) || limits.signal?.aborted === true || performance.now() + delayMs >= deadlineAtMs)
        throw error;
      await this.#changeOrPause(delayMs, limits.signal);
    }
  }

  /** News of the routes end the wait early. */
  async #changeOrPause(delayMs: number, signal: AbortSignal | undefined): Promise<void> {
    await Promise.race([this.#routes.nextChange(delayMs), pause(delayMs, signal)]);
  }
}

function mayRetry(error: PartitaError): boolean {
  if (outcomeOf(error) === 'unknown' || FINAL_REASONS.has(error.reason)) return false;
  return RETRIED_ADVICE.has(retryAdviceOf(error));
}

function signalOf(limits: CallLimits): { signal?: AbortSignal } {
  return limits.signal === undefined ? {} : { signal: limits.signal };
}

function succeeded<T extends { readonly error?: Parameters<typeof fromRpcStatus>[0] | undefined }>(
  result: T | undefined,
  name: PartitionName,
): T {
  if (result === undefined) throw noLeader(name);
  if (result.error !== undefined) throw fromRpcStatus(result.error);
  return result;
}

function nothingNew(want: FetchPartition): FetchedPartition {
  const { topicId, topic, partition, offset } = want;
  const none = { highWatermark: offset, logStartOffset: 0n, leaderEpoch: 0, recordBatches: new Uint8Array(0) };
  return { topicId, topic, partition, ...none, nextOffset: offset };
}

function noLeader(name: PartitionName): PartitaError {
  const metadata = { topic: name.topic, partition: String(name.partition) };
  return new PartitaError(
    'LEADER_NOT_AVAILABLE',
    `partition ${name.partition} of "${name.topic}" has no leader at the moment`,
    metadata,
  );
}
