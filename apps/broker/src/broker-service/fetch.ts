/** Fetch: reads what is there, or waits for it. One timer and one listener per partition for a call, whatever happens. */
import {
  asPartitaError,
  FETCH_WAIT_MS_MAX,
  PartitaError,
  QUOTA_DELAY_MS_MAX,
  RESPONSE_BYTES_MAX,
} from '@partita/domain';
import type { Clock, QuotaBrake, TimerHandle, Timers } from '@partita/domain';
import type { FetchedPartition, FetchPartition, FetchRequest, FetchResponse } from '@partita/protocol';
import { passedOnDeadlineMs } from '@partita/rpc';
import type { CallContext } from '@partita/rpc/server';
import type { BrokerMetrics } from '../metrics/broker-metrics.ts';
import type { PartitionRegistry } from '../partition-registry.ts';
import { failedPartition, Reading } from './reading.ts';
import { checkPartitionCount, checkRange } from './request-checks.ts';

export interface FetchOptions {
  readonly registry: PartitionRegistry;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly metrics: Pick<BrokerMetrics, 'fetched'>;
  readonly brake: QuotaBrake;
}

/** One partition of a call: a reading, or the reason why there is none. */
interface Part {
  readonly wanted: FetchPartition;
  readonly reading: Reading | undefined;
  readonly chunks: Uint8Array[];
  error: PartitaError | undefined;
}

/** The unary call. Of a partition whose quota is overdrawn nothing is read, as though nothing were there. */
export async function fetchBatches(
  request: FetchRequest,
  context: CallContext,
  options: FetchOptions,
): Promise<FetchResponse> {
  const { partitions, maxBytes, minBytes, maxWaitMs } = request;
  checkPartitionCount('partitions', partitions.length);
  checkRange('max_bytes', maxBytes, 0, RESPONSE_BYTES_MAX);
  checkRange('min_bytes', minBytes, 0, Number.MAX_SAFE_INTEGER);
  checkRange('max_wait_ms', maxWaitMs, 0, FETCH_WAIT_MS_MAX);
  const parts = partitions.map((wanted) => partOf(wanted, options.registry));
  const bytesMax = maxBytes === 0 ? RESPONSE_BYTES_MAX : maxBytes;
  const bytesMin = Math.min(minBytes, bytesMax);
  const waitMs = Math.min(maxWaitMs, passedOnDeadlineMs(context.deadlineMs));
  const quota = new ReaderQuota(options.brake, context.clientId);
  const change = new ChangeWatch(parts, context, options.timers, waitMs);
  try {
    let bytes = 0;
    // Whoever does not want to wait is slowed down too, or would ask again at once.
    const heldMs = Math.min(quota.heldMs(parts), passedOnDeadlineMs(context.deadlineMs) / 2);
    if (heldMs > 0) await pause(options.timers, heldMs, context);
    for (;;) {
      change.reset();
      bytes += await readParts(parts, bytesMax - bytes, bytes === 0, quota);
      const hasError = parts.some((part) => part.error !== undefined);
      const isWaited = minBytes > 0 || parts.some((part) => part.reading?.isAhead === true);
      if (hasError || change.isOver || bytes >= bytesMax || !isWaited) break;
      if (bytes > 0 && bytes >= bytesMin) break;
      if (parts.every((part) => part.reading?.isDone === true)) break;
      await change.wait(quota.heldMs(parts));
    }
  } finally {
    change.close();
  }
  const answers = parts.map(answerOf);
  parts.forEach(({ reading }, index) => {
    const bytes = answers[index]?.recordBatches;
    if (reading !== undefined && bytes !== undefined) options.metrics.fetched(reading.actor.topic, bytes);
  });
  return { partitions: answers };
}

function partOf(wanted: FetchPartition, registry: PartitionRegistry): Part {
  try {
    return { wanted, reading: new Reading(registry, wanted), chunks: [], error: undefined };
  } catch (error) {
    return { wanted, reading: undefined, chunks: [], error: asPartitaError(error) };
  }
}

/** Reads each partition once, within `bytesMax`; returns the bytes read. `isFirst`: one batch always gets through. */
async function readParts(
  parts: readonly Part[],
  bytesMax: number,
  isFirst: boolean,
  quota: ReaderQuota,
): Promise<number> {
  let bytes = 0;
  for (const part of parts) {
    const { reading } = part;
    if (reading === undefined || part.error !== undefined) continue;
    part.error = reading.fault();
    if (part.error !== undefined) continue;
    while (reading.hasMore && bytes < bytesMax && quota.waitMs(reading) === 0) {
      const before = reading.offset;
      const chunk = await readChunk(part, reading, Math.min(bytesMax - bytes, quota.sliceBytes(reading)));
      if (chunk === undefined) break;
      // Only the first batch of an answer may be larger than what is left.
      if (bytes + chunk.length > bytesMax && !(isFirst && bytes === 0)) {
        reading.backTo(before);
        return bytes;
      }
      bytes += chunk.length;
      part.chunks.push(chunk);
      quota.spend(reading, chunk.length);
      if (reading.offset === before) break;
    }
  }
  return bytes;
}

async function readChunk(part: Part, reading: Reading, bytesMax: number): Promise<Uint8Array | undefined> {
  try {
    return await reading.read(bytesMax);
  } catch (error) {
    part.error = asPartitaError(error);
    return undefined;
  }
}

function answerOf(part: Part): FetchedPartition {
  const { reading, chunks, error } = part;
  if (reading === undefined) return failedPartition(part.wanted, error ?? asPartitaError(undefined));
  const [first] = chunks;
  const bytes = chunks.length === 1 ? first : Buffer.concat(chunks);
  if (error === undefined && chunks.length === 0 && reading.isAhead && !reading.isDone) {
    return reading.answer(bytes, reading.notYet());
  }
  return reading.answer(bytes, chunks.length === 0 ? error : undefined);
}

/** What quotas say to one caller. */
class ReaderQuota {
  readonly #brake: QuotaBrake;
  readonly #clientId: string;

  constructor(brake: QuotaBrake, clientId: string) {
    this.#brake = brake;
    this.#clientId = clientId;
  }

  /** Milliseconds until the partition may be read; 0 = now. */
  waitMs({ actor: { topic } }: Reading): number {
    return this.#brake.isOn && !topic.isInternal ? this.#brake.waitMs(this.#clientId, topic.config.topic) : 0;
  }

  sliceBytes({ actor: { topic } }: Reading): number {
    const isFree = !this.#brake.isOn || topic.isInternal;
    return isFree ? RESPONSE_BYTES_MAX : this.#brake.sliceBytes(this.#clientId, topic.config.topic);
  }

  /** How long to wait, at most QUOTA_DELAY_MS_MAX, until anything may be read of what is there; 0 = now, or nothing is there. */
  heldMs(parts: readonly Part[]): number {
    if (!this.#brake.isOn) return 0;
    let leastMs = Infinity;
    let first: Reading | undefined;
    for (const { reading } of parts) {
      if (reading?.hasMore !== true) continue;
      const waitMs = this.waitMs(reading);
      if (waitMs >= leastMs) continue;
      leastMs = waitMs;
      first = reading;
    }
    if (first === undefined || leastMs === 0) return 0;
    // Quotas may change meanwhile.
    const holdMs = Math.min(leastMs, QUOTA_DELAY_MS_MAX);
    this.#brake.noteHold(this.#clientId, first.actor.topic.config.topic, holdMs);
    return holdMs;
  }

  spend({ actor: { topic } }: Reading, bytes: number): void {
    if (this.#brake.isOn && bytes > 0) this.#brake.spend(this.#clientId, topic.config.topic, bytes);
  }
}

/** Shorter when the caller goes or the broker drains. */
async function pause(timers: Timers, ms: number, { signal, draining }: CallContext): Promise<void> {
  await new Promise<void>((resolve) => {
    const over = () => {
      timer.cancel();
      for (const each of [signal, draining]) each.removeEventListener('abort', over);
      resolve();
    };
    const timer = timers.after(ms, over);
    for (const each of [signal, draining]) {
      each.addEventListener('abort', over, { once: true });
      if (each.aborted) over();
    }
  });
}

/** Resolves when a partition has changed, the time is up, the caller is gone or the broker drains. */
class ChangeWatch {
  readonly #stops: (() => void)[] = [];
  readonly #timers: Timers;
  #hasChanged = false;
  #isOver: boolean;
  #wake: (() => void) | undefined;

  constructor(parts: readonly Part[], context: CallContext, timers: Timers, waitMs: number) {
    this.#timers = timers;
    this.#isOver = waitMs <= 0;
    if (this.#isOver) return;
    const changed = () => {
      this.#hasChanged = true;
      this.#wake?.();
    };
    const over = () => {
      this.#isOver = true;
      this.#wake?.();
    };
    for (const { reading } of parts) if (reading !== undefined) this.#stops.push(reading.actor.onChange(changed));
    const timer = timers.after(waitMs, over);
    this.#stops.push(() => timer.cancel());
    for (const signal of [context.signal, context.draining]) {
      if (signal.aborted) this.#isOver = true;
      signal.addEventListener('abort', over, { once: true });
      this.#stops.push(() => signal.removeEventListener('abort', over));
    }
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** What changes from here on ends the next wait at once. */
  reset(): void {
    this.#hasChanged = false;
  }

  /** `heldMs`: a quota holds what is there for so long, then it is looked at again; 0 = none does. */
  async wait(heldMs: number): Promise<void> {
    if (this.#isOver || (this.#hasChanged && heldMs === 0)) return;
    let timer: TimerHandle | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      if (heldMs > 0) timer = this.#timers.after(heldMs, resolve);
    });
    timer?.cancel();
    this.#wake = undefined;
  }

  close(): void {
    for (const stop of this.#stops) stop();
  }
}
