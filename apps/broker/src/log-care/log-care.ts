/** What a broker does for its logs by itself, in the background: retention, and whatever else needs no request. */
import type { OtherClocks } from './clock-guard.ts';
import { ClockGuard } from './clock-guard.ts';
import { RetentionTask } from './retention-task.ts';
import type { RetentionTaskOptions } from './retention-task.ts';

export type LogCareOptions = Omit<RetentionTaskOptions, 'guard'>;

export class LogCare {
  readonly #guard: ClockGuard;
  readonly #retention: RetentionTask;

  constructor(options: LogCareOptions) {
    this.#guard = new ClockGuard(options.clock);
    this.#retention = new RetentionTask({ ...options, guard: this.#guard });
  }

  /** Takes in the clocks of a coordinator's heartbeat. */
  hear(clocks: OtherClocks): void {
    this.#guard.hear(clocks);
  }

  start(): void {
    this.#retention.start();
  }

  /** Ends everything; call it before the logs are closed. */
  async stop(): Promise<void> {
    await this.#retention.stop();
  }
}
