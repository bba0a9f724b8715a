/**
 * Reads all logs of the broker through once in each interval, slowly, so that damage on the disk is known before it is
 * needed. Damage is logged as an error each time that it is found; the partition goes on serving what is intact.
 */
import type { Random, TimerHandle, Timers } from '@partita/domain';
import { PartitaError, SCRUB_BYTES_PER_SECOND_MIN } from '@partita/domain';
import { scrubLog } from '@partita/log';
import type { Logger } from '@partita/runtime';
import type { PartitionActor } from '../partition-actor.ts';
import type { PartitionRegistry } from '../partition-registry.ts';

export interface ScrubTaskOptions {
  readonly registry: PartitionRegistry;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
  /** From the start of one round to the start of the next, milliseconds; 0 = never. */
  readonly scrubIntervalMs: number;
}

export class ScrubTask {
  readonly #options: ScrubTaskOptions;
  #timer: TimerHandle | undefined;
  #wake: () => void = () => undefined;
  #running: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(options: ScrubTaskOptions) {
    this.#options = options;
  }

  /** Begins: the first round some time within the first tenth of an interval, not on all brokers at once. */
  start(): void {
    const { scrubIntervalMs, random } = this.#options;
    if (scrubIntervalMs > 0) this.#running = this.#rounds((scrubIntervalMs / 10) * random.next());
  }

  /** Ends after the step under way. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#timer?.cancel();
    this.#wake();
    await this.#running;
  }

  async #rounds(firstDelayMs: number): Promise<void> {
    const { scrubIntervalMs } = this.#options;
    await this.#wait(firstDelayMs);
    while (!this.#isStopped) {
      const waitedMs = await this.#round();
      await this.#wait(Math.max(0, scrubIntervalMs - waitedMs));
    }
  }

  /** Reads all logs; returns the time that it waited in between, milliseconds. */
  async #round(): Promise<number> {
    const { registry, logger, scrubIntervalMs } = this.#options;
    const actors = [...registry.actors()];
    const allBytes = actors.reduce((sum, { log }) => sum + log.bytes, 0);
    // Done in half of the interval, however much there is.
    const bytesPerSecond = Math.max(SCRUB_BYTES_PER_SECOND_MIN, (allBytes / scrubIntervalMs) * 2000);
    const found = { bytes: 0, damagedCount: 0, waitedMs: 0 };
    for (const actor of actors) {
      if (this.#isStopped) return found.waitedMs;
      try {
        found.bytes += await scrubLog(actor.log, async (bytes) => {
          const pauseMs = (bytes / bytesPerSecond) * 1000;
          found.waitedMs += pauseMs;
          await this.#wait(pauseMs);
          return !this.#isStopped && !actor.isClosed;
        });
      } catch (error) {
        if (this.#report(actor, error)) found.damagedCount += 1;
      }
    }
    logger.info({ partitions: actors.length, ...found }, 'read all logs through');
    return found.waitedMs;
  }

  #report(actor: PartitionActor, error: unknown): boolean {
    if (actor.isClosed || this.#isStopped) return false;
    const { topicId, partition } = actor;
    const isDamage = error instanceof PartitaError && error.reason === 'CORRUPT_BATCH';
    this.#options.logger.error({ err: error, topicId, partition }, 'reading a log through found damage');
    return isDamage;
  }

  async #wait(ms: number): Promise<void> {
    if (this.#isStopped) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      this.#timer = this.#options.timers.after(ms, resolve);
    });
  }
}
