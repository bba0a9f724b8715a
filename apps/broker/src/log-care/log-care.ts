/** What a broker does for its logs by itself: retention, compaction, and reading them through. */
import type { OtherClocks } from './clock-guard.ts';
import { ClockGuard } from './clock-guard.ts';
import { CompactionTask } from './compaction-task.ts';
import type { CompactionTaskOptions } from './compaction-task.ts';
import { RetentionTask } from './retention-task.ts';
import type { RetentionTaskOptions } from './retention-task.ts';
import { ScrubTask } from './scrub-task.ts';
import type { ScrubTaskOptions } from './scrub-task.ts';

export type LogCareOptions = Omit<RetentionTaskOptions & CompactionTaskOptions, 'guard'> & ScrubTaskOptions;

export class LogCare {
  readonly #guard: ClockGuard;
  readonly #retention: RetentionTask;
  readonly #compaction: CompactionTask;
  readonly #scrub: ScrubTask;

  constructor(options: LogCareOptions) {
    this.#guard = new ClockGuard(options.clock);
    this.#retention = new RetentionTask({ ...options, guard: this.#guard });
    this.#compaction = new CompactionTask({ ...options, guard: this.#guard });
    this.#scrub = new ScrubTask(options);
  }

  /** Takes in the clocks of a coordinator's heartbeat. */
  hear(clocks: OtherClocks): void {
    this.#guard.hear(clocks);
  }

  start(): void {
    this.#retention.start();
    this.#compaction.start();
    this.#scrub.start();
  }

  /** Ends everything; call it before the logs are closed. */
  async stop(): Promise<void> {
    await Promise.all([this.#retention.stop(), this.#compaction.stop(), this.#scrub.stop()]);
  }
}
