/** The cluster's Redis: when it is a process of our own and dies, it is reported and started again on its port and data. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { RedisHandle, RedisSource } from './redis.ts';
import { RESTART_DELAY_MS_MIN, STEADY_MS } from './supervise.ts';

const RESTART_DELAY_MS_MAX = 30_000;

export interface SuperviseRedisOptions {
  readonly restart: boolean;
  /** Told when it is up again. */
  onReady(): void;
  /** Told when it died: what to print, and its last lines. */
  onDeath(text: string, lastLines: readonly string[]): void;
}

export class SupervisedRedis {
  readonly #options: SuperviseRedisOptions;
  readonly #stopping = new AbortController();
  readonly #watch: Promise<void>;
  #handle: RedisHandle;
  #down = false;

  constructor(handle: RedisHandle, options: SuperviseRedisOptions) {
    this.#handle = handle;
    this.#options = options;
    this.#watch = this.#keepUp();
  }

  get kind(): RedisSource {
    return this.#handle.kind;
  }

  get url(): string {
    return this.#handle.url;
  }

  /** Undefined while it is down, and when it is no process of ours. */
  get pid(): number | undefined {
    return this.#down ? undefined : this.#handle.pid;
  }

  /** Stops the process if it is ours; resolves when it is gone. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#handle.stop();
    await this.#watch;
    // A start that was under way when the stop came.
    await this.#handle.stop();
  }

  async #keepUp(): Promise<void> {
    for (let delayMs = RESTART_DELAY_MS_MIN; ;) {
      const { exited, startAgain } = this.#handle;
      if (exited === undefined || startAgain === undefined) return;
      const startedMs = performance.now();
      const { code, signal, lastLines } = await exited;
      if (this.#stopping.signal.aborted) return;
      this.#down = true;
      if (performance.now() - startedMs > STEADY_MS) delayMs = RESTART_DELAY_MS_MIN;
      const how = signal === null ? `exited with code ${code}` : `was ended by ${signal}`;
      const plan = this.#options.restart ? `; starting it again in ${delayMs / 1000} s` : '';
      this.#options.onDeath(`redis ${how}${plan}`, lastLines.split('\n').slice(-15));
      if (!this.#options.restart) return;
      const next = await this.#bringUp(startAgain, delayMs);
      if (next === undefined) return;
      delayMs = next;
      this.#options.onReady();
    }
  }

  /** Tries until it is up; the delay to begin with next time, undefined when the cluster stops. */
  async #bringUp(startAgain: () => Promise<RedisHandle>, firstDelayMs: number): Promise<number | undefined> {
    for (let delayMs = firstDelayMs; ; delayMs = Math.min(delayMs * 2, RESTART_DELAY_MS_MAX)) {
      await sleep(delayMs, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
      if (this.#stopping.signal.aborted) return undefined;
      try {
        this.#handle = await startAgain();
        this.#down = false;
        return Math.min(delayMs * 2, RESTART_DELAY_MS_MAX);
      } catch (error) {
        this.#options.onDeath(
          `redis does not start again: ${error instanceof Error ? error.message : String(error)}`,
          [],
        );
      }
    }
  }
}
