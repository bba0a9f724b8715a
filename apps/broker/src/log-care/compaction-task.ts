/**
 * Compacts the logs of topics that ask for it, one at a time, in a process of its own (libs/log, compaction/). Every
 * replica compacts by itself, whoever leads, below its own high watermark.
 */
import { PartitaError } from '@partita/domain';
import type { Clock, TimerHandle, Timers } from '@partita/domain';
import { CompactionProcess, planCompaction } from '@partita/log';
import type { CompactionPlan } from '@partita/log';
import type { Logger } from '@partita/runtime';
import type { PartitionActor } from '../partition-actor.ts';
import type { PartitionRegistry } from '../partition-registry.ts';
import type { ClockGuard } from './clock-guard.ts';

/** Logs looked at before requests get a turn. */
const PARTITIONS_PER_TURN_COUNT = 50;

export interface CompactionTaskOptions {
  readonly registry: PartitionRegistry;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly guard: ClockGuard;
  readonly logger: Logger;
  /** From the end of one look to the start of the next. */
  readonly intervalMs: number;
  /** Bytes that a compaction reads and writes in a second. */
  readonly compactionBytesPerSecond: number;
}

export class CompactionTask {
  readonly #options: CompactionTaskOptions;
  readonly #process: CompactionProcess;
  #timer: TimerHandle | undefined;
  #running: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(options: CompactionTaskOptions) {
    this.#options = options;
    this.#process = new CompactionProcess(options.timers);
  }

  /** Begins: the first look comes after the interval. */
  start(): void {
    if (this.#isStopped) return;
    const { timers, intervalMs } = this.#options;
    this.#timer = timers.after(intervalMs, () => {
      this.#running = this.#look().then(() => this.start());
    });
  }

  /** Cancels what is under way; the next start removes its files. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#timer?.cancel();
    await this.#process.close();
    await this.#running;
  }

  async #look(): Promise<void> {
    let count = 0;
    for (const actor of [...this.#options.registry.actors()]) {
      if (this.#isStopped) return;
      if (!actor.topic.settings.compacts) continue;
      await this.#compact(actor);
      count += 1;
      if (count % PARTITIONS_PER_TURN_COUNT === 0)
        await new Promise<void>((go) => void this.#options.timers.after(0, go));
    }
  }

  async #compact(actor: PartitionActor): Promise<void> {
    const { clock, guard, logger, compactionBytesPerSecond } = this.#options;
    const { log, topicId, partition } = actor;
    const { compactionLagMs, tombstoneDelayMs } = actor.topic.settings;
    try {
      const plan = await planCompaction(log, {
        nowMs: clock.wallMs(),
        highWatermark: actor.state.highWatermark,
        lagMs: compactionLagMs,
        // A clock that was set ahead would let tombstones go too early.
        tombstoneDelayMs: guard.isTrusted ? tombstoneDelayMs : Infinity,
        bytesPerSecondMax: compactionBytesPerSecond,
      });
      if (plan !== undefined) await this.#run(actor, plan, tombstoneDelayMs);
    } catch (error) {
      if (actor.isClosed || this.#isStopped) return;
      const isDamage = error instanceof PartitaError && error.reason === 'CORRUPT_BATCH';
      logger[isDamage ? 'error' : 'warn'](
        { err: error, topicId, partition },
        'a compaction failed; the log is as it was',
      );
    }
  }

  async #run(actor: PartitionActor, plan: CompactionPlan, tombstoneDelayMs: number): Promise<void> {
    const { clock, guard, logger } = this.#options;
    const { log, topicId, partition } = actor;
    const startedMs = clock.monotonicMs();
    const result = await this.#process.run(plan);
    if (!(await log.adopt({ plan, result, tombstoneDelayMs, clockIsTrusted: guard.isTrusted }))) return;
    const { recordsBefore, recordsAfter, bytesBefore, bytesAfter, cleanedTo, removedTombstones } = result;
    const seconds = (clock.monotonicMs() - startedMs) / 1000;
    const figures = { recordsBefore, recordsAfter, bytesBefore, bytesAfter, removedTombstones, seconds };
    logger.info({ topicId, partition, cleanedTo, ...figures }, 'compacted a log');
  }
}
