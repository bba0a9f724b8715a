/** What the specs of the log share: batches of one partition, and a log on a memory disk that can be opened again. */
import { BatchBuilder, CODEC_NONE, headerSeed, lastOffsetAt, stampBatch } from '@partita/batch';
import type { PartitaError } from '@partita/domain';
import type { Clock, Timers } from '@partita/domain';
import { MemoryDisk } from '@partita/testkit';
import type { Disk } from '../disk.ts';
import { createLogDevice } from '../log-device.ts';
import type { LogDevice } from '../log-device.ts';
import type { LogSettings } from '../log-writer.ts';
import { openPartitionLog } from '../open-partition-log.ts';
import type { WriteWatch } from '../write-watch.ts';
import type { PartitionLog } from '../partition-log.ts';

export const CLUSTER_ID = '7b0e6d0e-3f7c-4c53-9c5e-0a4f4a1c2b3d';
export const TOPIC_ID = '0d9f7a34-95a1-4d0c-8a3f-5b1d2c3e4f50';
export const DIRECTORY = `/data/${TOPIC_ID}/3`;
const SEED = headerSeed(TOPIC_ID, 3);

export interface BatchPlan {
  readonly base: bigint;
  readonly recordCount?: number;
  readonly valueBytes?: number;
  readonly epoch?: number;
  readonly timestampMs?: bigint;
  readonly value?: Uint8Array;
}

/** A batch as a leader of the partition appends it. */
export function makeBatch(plan: BatchPlan): Buffer {
  const timestampMs = plan.timestampMs ?? 1000n + plan.base;
  const builder = new BatchBuilder();
  for (let index = 0; index < (plan.recordCount ?? 1); index += 1) {
    const value = plan.value ?? Buffer.alloc(plan.valueBytes ?? 20, Number(plan.base % 251n));
    builder.tryAdd({ value, headers: [], timestampMs, traceparent: '', tracestate: '' });
  }
  const batch = builder.build({ codec: CODEC_NONE });
  const stamp = { baseOffset: plan.base, leaderEpoch: plan.epoch ?? 1, appendTimeMs: 5000n + plan.base };
  stampBatch(batch, stamp, SEED);
  return batch;
}

/** A clock and timers that only tests move. */
export class ManualTime implements Clock, Timers {
  nowMs = 1_000_000;
  #timers: { atMs: number; work: () => void }[] = [];

  wallMs(): number {
    return this.nowMs;
  }

  monotonicMs(): number {
    return this.nowMs;
  }

  after(delayMs: number, work: () => void): { cancel: () => void } {
    const timer = { atMs: this.nowMs + delayMs, work };
    this.#timers.push(timer);
    return {
      cancel: () => {
        this.#timers = this.#timers.filter((other) => other !== timer);
      },
    };
  }

  advance(ms: number): void {
    this.nowMs += ms;
    const due = this.#timers.filter((timer) => timer.atMs <= this.nowMs);
    this.#timers = this.#timers.filter((timer) => timer.atMs > this.nowMs);
    for (const timer of due) timer.work();
  }
}

/** A memory disk with one partition's log, opened as often as the test likes. */
export class LogBench {
  readonly disk: MemoryDisk;
  readonly time = new ManualTime();
  readonly settings: LogSettings;
  failure: PartitaError | undefined;
  /** What a checkpoint was lowered to before cuts. */
  lowered: bigint[] = [];
  /** End offsets as onSynced told them. */
  synced: bigint[] = [];
  #waiting: { end: bigint; resolve: () => void }[] = [];

  constructor(settings: Partial<LogSettings> = {}, disk = new MemoryDisk()) {
    this.settings = { segmentBytesMax: 1024 * 1024, segmentAgeMsMax: Infinity, flush: 'fsync', ...settings };
    this.disk = disk;
  }

  /** Opens the log as after an unclean stop, unless told otherwise. */
  async open(
    options: {
      cleanShutdown?: boolean;
      knownSynced?: bigint;
      logStart?: bigint;
      disk?: Disk;
      onSuspect?: (why: string) => Promise<void>;
      onCut?: (end: bigint) => Promise<void>;
      watch?: WriteWatch;
    } = {},
  ): Promise<PartitionLog> {
    await this.disk.makeDirectory('/data');
    const device: LogDevice = await createLogDevice({
      disk: options.disk ?? this.disk,
      directory: '/data',
      clock: this.time,
      timers: this.time,
    });
    return openPartitionLog({
      device,
      dir: DIRECTORY,
      clusterId: CLUSTER_ID,
      topicId: TOPIC_ID,
      partition: 3,
      settings: this.settings,
      cleanShutdown: options.cleanShutdown ?? false,
      knownSynced: options.knownSynced ?? 0n,
      logStart: options.logStart ?? 0n,
      onCut:
        options.onCut ??
        ((end) => {
          this.lowered.push(end);
          return Promise.resolve();
        }),
      watch: options.watch,
      onSuspect: options.onSuspect ?? (() => Promise.resolve()),
      onSynced: (end) => {
        this.synced.push(end);
        for (const { resolve } of this.#waiting.filter((waiting) => waiting.end <= end)) resolve();
      },
      onFailed: (error) => {
        this.failure = error;
      },
    });
  }

  /** Appends batches of the plan one behind the other and waits until they are durable. */
  async fill(log: PartitionLog, count: number, plan: Omit<BatchPlan, 'base'> = {}): Promise<Buffer[]> {
    const batches: Buffer[] = [];
    for (let index = 0; index < count; index += 1) {
      const batch = makeBatch({ ...plan, base: log.logEnd });
      batches.push(batch);
      log.append(batch);
      await this.durable(lastOffsetAt(batch, 0) + 1n, log);
    }
    return batches;
  }

  /** Waits until everything below `end` is durable. */
  async durable(end: bigint, log: PartitionLog): Promise<void> {
    if (log.syncedEnd >= end) return;
    await new Promise<void>((resolve) => {
      this.#waiting.push({ end, resolve });
    });
  }
}

/** All durable batches of a log, read to its end. */
export async function readAll(log: PartitionLog, maxBytes = 64 * 1024): Promise<Buffer> {
  const slices: Buffer[] = [];
  let from = log.logStart;
  while (from < log.syncedEnd) {
    const { bytes, nextOffset } = await log.read(from, log.syncedEnd, maxBytes);
    if (nextOffset <= from) throw new Error(`a read at ${from} leads to ${nextOffset}`);
    slices.push(bytes);
    from = nextOffset;
  }
  return Buffer.concat(slices);
}
