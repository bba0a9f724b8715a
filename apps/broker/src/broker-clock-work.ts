/** What a broker does by the clock: looks at deadlines of appends, and notes on disk how far its partitions are. */
import { APPEND_EXPIRY_MS, CHECKPOINT_MS, PartitaError } from '@partita/domain';
import type { Clock, TimerHandle, Timers } from '@partita/domain';
import { diskErrorCode } from '@partita/log';
import type { PartitionCheckpoint } from '@partita/log';
import type { PartitionActor } from './partition-actor.ts';
import type { PartitionRegistry } from './partition-registry.ts';

/** One timer for all appends that wait: partitions are looked at only while they have some. */
export class AppendDeadlines {
  readonly #waiting = new Set<PartitionActor>();
  readonly #clock: Clock;
  readonly #timers: Timers;
  #timer: TimerHandle | undefined;

  constructor(clock: Clock, timers: Timers) {
    this.#clock = clock;
    this.#timers = timers;
  }

  /** The partition gets an append whose deadline must be kept, or pauses. */
  watch(actor: PartitionActor): void {
    this.#waiting.add(actor);
    this.#timer ??= this.#timers.after(APPEND_EXPIRY_MS, () => this.#look());
  }

  stop(): void {
    this.#timer?.cancel();
    this.#waiting.clear();
  }

  #look(): void {
    this.#timer = undefined;
    const nowMs = this.#clock.monotonicMs();
    for (const actor of this.#waiting) {
      actor.feed({ kind: 'expire', nowMs });
      const { unanswered, role } = actor.state;
      const isPaused = role.kind === 'leader' && role.pause !== undefined;
      if (unanswered.length === 0 && !isPaused) this.#waiting.delete(actor);
    }
    if (this.#waiting.size > 0) this.#timer = this.#timers.after(APPEND_EXPIRY_MS, () => this.#look());
  }
}

/** Writes the checkpoint each second while something has changed, one write at a time. */
export class CheckpointTask {
  readonly #options: {
    registry: PartitionRegistry;
    timers: Timers;
    write: (partitions: readonly PartitionCheckpoint[]) => Promise<void>;
    onFailed: (error: unknown) => void;
  };
  #timer: TimerHandle | undefined;
  /** The write under way; never rejects. */
  #running: Promise<void> = Promise.resolve();
  #flushing: Promise<void> | undefined;
  #isDue = false;
  #isStopped = false;

  constructor(options: {
    registry: PartitionRegistry;
    timers: Timers;
    write: (partitions: readonly PartitionCheckpoint[]) => Promise<void>;
    onFailed: (error: unknown) => void;
  }) {
    this.#options = options;
  }

  /** A partition has moved: the next checkpoint differs. */
  note(): void {
    this.#isDue = true;
    if (this.#timer !== undefined || this.#isStopped) return;
    this.#timer = this.#options.timers.after(CHECKPOINT_MS, () => {
      this.#running = this.#running.then(() => this.#write()).catch((error: unknown) => this.#options.onFailed(error));
    });
  }

  /**
   * Resolves when a checkpoint that was begun after this call is durable; calls meanwhile share it. Rejects with STORAGE_FULL
   * when there is no room for it; a disk that fails ends the broker, as at any other checkpoint.
   */
  flush(): Promise<void> {
    this.#flushing ??= this.#running.then(async () => {
      this.#flushing = undefined;
      const written = this.#writeUnlessFull();
      this.#running = written.then(
        () => undefined,
        (error: unknown) => this.#options.onFailed(error),
      );
      if (!(await written)) throw new PartitaError('STORAGE_FULL', 'the disk has no room for a checkpoint; free some');
    });
    return this.#flushing;
  }

  /** Writes a last time and ends. */
  async finish(): Promise<void> {
    this.#isStopped = true;
    this.#timer?.cancel();
    await this.#running;
    await this.#writeUnlessFull();
  }

  async #write(): Promise<void> {
    this.#isDue = false;
    const isWritten = await this.#writeUnlessFull();
    this.#timer = undefined;
    if (!isWritten) this.#isDue = true;
    // Read anew: it may have been set while the write was under way.
    if (this.#hasNews()) this.note();
  }

  /** A checkpoint only ever lags behind: without room for a new one the old one stays, and the next second tries again. */
  async #writeUnlessFull(): Promise<boolean> {
    try {
      await this.#options.write(this.#lines());
      return true;
    } catch (error) {
      if (diskErrorCode(error) === 'ENOSPC') return false;
      throw error;
    }
  }

  #hasNews(): boolean {
    return this.#isDue;
  }

  #lines(): PartitionCheckpoint[] {
    return [...this.#options.registry.actors()].map(({ topicId, partition, state, log, checkpointEnd }) => ({
      topicId,
      partition,
      highWatermark: state.highWatermark < checkpointEnd ? state.highWatermark : checkpointEnd,
      syncedEnd: checkpointEnd,
      logStart: log.logStart,
    }));
  }
}
