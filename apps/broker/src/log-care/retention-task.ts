/**
 * Looks at every partition that this broker leads, again and again: closes segments that are old, deletes what retention
 * lets go (libs/log, retention.ts). Followers do as their leader. A look gives way to requests after some partitions.
 */
import { RETENTION_SEGMENT_COUNT_MAX } from '@partita/domain';
import type { Clock, TimerHandle, Timers } from '@partita/domain';
import { isActiveOld, retentionStart } from '@partita/log';
import type { RetentionRules } from '@partita/log';
import type { Logger } from '@partita/runtime';
import type { PartitionActor } from '../partition-actor.ts';
import type { PartitionRegistry } from '../partition-registry.ts';
import type { ClockGuard } from './clock-guard.ts';

/** Partitions looked at before requests get a turn. */
const PARTITIONS_PER_TURN_COUNT = 50;

export interface RetentionTaskOptions {
  readonly registry: PartitionRegistry;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly guard: ClockGuard;
  readonly logger: Logger;
  /** From the end of one look to the start of the next. */
  readonly intervalMs: number;
}

export class RetentionTask {
  readonly #options: RetentionTaskOptions;
  #timer: TimerHandle | undefined;
  #running: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(options: RetentionTaskOptions) {
    this.#options = options;
  }

  /** Begins: the first look comes after the interval. */
  start(): void {
    if (this.#isStopped) return;
    const { timers, intervalMs } = this.#options;
    this.#timer = timers.after(intervalMs, () => {
      this.#running = this.look().then(() => this.start());
    });
  }

  /** Ends after the partition under way. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#timer?.cancel();
    await this.#running;
  }

  /** One look at all partitions. Never rejects: what fails on one is logged and tried again. */
  async look(): Promise<void> {
    const { registry, guard, logger, timers } = this.#options;
    const verdict = guard.look();
    if (!verdict.isTrusted) {
      if (verdict.isNew) logger.warn({ why: verdict.why }, 'the wall clock is not trusted: nothing is deleted by age');
    }
    let count = 0;
    for (const actor of [...registry.actors()]) {
      if (this.#isStopped) return;
      await this.#care(actor, verdict.isTrusted);
      count += 1;
      if (count % PARTITIONS_PER_TURN_COUNT === 0) await new Promise<void>((go) => void timers.after(0, go));
    }
  }

  async #care(actor: PartitionActor, clockIsTrusted: boolean): Promise<void> {
    const { logger, clock } = this.#options;
    const { topic, log, topicId, partition } = actor;
    const { deletes, retentionAgeMsMax, retentionBytesMax, segmentAgeMsMax } = topic.settings;
    if (!leads(actor)) return;
    const rules: RetentionRules = {
      ageMsMax: clockIsTrusted ? retentionAgeMsMax : Infinity,
      bytesMax: retentionBytesMax,
      nowMs: clock.wallMs(),
      highWatermark: actor.state.highWatermark,
      segmentCountMax: RETENTION_SEGMENT_COUNT_MAX,
    };
    try {
      await log.repairIndexes();
      const isAged = clockIsTrusted && log.activeAgeMs > segmentAgeMsMax;
      if (isAged || (deletes && (await isActiveOld(log, rules)))) await log.roll();
      const start = deletes ? await retentionStart(log, rules) : undefined;
      // Another may have been elected meanwhile: the start of the log is the leader's to decide.
      if (start === undefined || !leads(actor)) return;
      const before = { start: log.logStart, bytes: log.bytes };
      await actor.trim(start);
      const freedBytes = before.bytes - log.bytes;
      logger.info({ topicId, partition, from: before.start, to: start, freedBytes }, 'retention deleted old segments');
    } catch (error) {
      if (!actor.isClosed) logger.warn({ err: error, topicId, partition }, 'retention failed on a partition');
    }
  }
}

function leads(actor: PartitionActor): boolean {
  return actor.leader !== undefined;
}
