/**
 * Watches the free bytes of a data directory, so that appends stop with STORAGE_FULL while there is still room for what
 * is queued, for checkpoints and for journals. The file system is asked at most once a second: when an append looks and
 * the last answer is old, and each second while somebody waits for space.
 */
import type { Clock, TimerHandle, Timers } from '@partita/domain';
import type { Disk, FreeBytes } from './disk.ts';

const POLL_MS = 1000;
const RESERVE_BYTES_MAX = 1024 ** 3;
const RESERVE_SHARE = 0.05;

export class FreeSpace {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #clock: Clock;
  readonly #timers: Timers;
  #last: FreeBytes;
  #lastAtMs: number;
  /** Bytes taken since the last look. */
  #takenBytes = 0;
  #polling = false;
  #timer: TimerHandle | undefined;
  /** Looks go on while less than this is free: somebody was refused. */
  #looksUntilBytes = 0;
  #isClosed = false;
  #waiting: (() => void)[] = [];

  private constructor(options: { disk: Disk; directory: string; clock: Clock; timers: Timers }, first: FreeBytes) {
    this.#disk = options.disk;
    this.#directory = options.directory;
    this.#clock = options.clock;
    this.#timers = options.timers;
    this.#last = first;
    this.#lastAtMs = options.clock.monotonicMs();
  }

  /** Starts with a first look at the disk. */
  static async create(options: { disk: Disk; directory: string; clock: Clock; timers: Timers }): Promise<FreeSpace> {
    return new FreeSpace(options, await options.disk.freeBytes(options.directory));
  }

  /** Free bytes at the last look, less what was taken since. */
  get freeBytes(): number {
    return Math.max(0, this.#last.freeBytes - this.#takenBytes);
  }

  /** Counts bytes that will be written: a fast writer must not pass the reserve between two looks. */
  take(bytes: number): void {
    this.#takenBytes += bytes;
  }

  /** Bytes that must stay free for a partition with segments of that size: max(2 segments, min(1 GiB, 5 %)). */
  reserveBytes(segmentBytesMax: number): number {
    return Math.max(2 * segmentBytesMax, Math.min(RESERVE_BYTES_MAX, RESERVE_SHARE * this.#last.totalBytes));
  }

  /**
   * True when appends must stop. Synchronous: it answers from the last look and starts a new one when that is old. A full
   * disk is looked at each second, so that the first append after room was made is not refused by an old figure.
   */
  isFull(segmentBytesMax: number): boolean {
    if (this.#clock.monotonicMs() - this.#lastAtMs >= POLL_MS) void this.#poll();
    const isFull = this.freeBytes < this.reserveBytes(segmentBytesMax);
    if (isFull) this.#looksUntilBytes = this.reserveBytes(segmentBytesMax);
    if (isFull) this.#lookAgain();
    return isFull;
  }

  /** Calls back after the next look at the disk, within about a second: the time to try a refused write again. */
  afterNextPoll(callback: () => void): void {
    this.#waiting.push(callback);
    this.#lookAgain();
  }

  /** Stops the timer; whoever waits is not called any more. */
  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#waiting = [];
  }

  async #poll(): Promise<void> {
    if (this.#polling) return;
    this.#polling = true;
    try {
      const takenBytes = this.#takenBytes;
      this.#last = await this.#disk.freeBytes(this.#directory);
      this.#takenBytes -= takenBytes;
    } catch {
      // A disk that does not answer has no room that anybody could count on.
      this.#last = { freeBytes: 0, totalBytes: this.#last.totalBytes };
    } finally {
      this.#lastAtMs = this.#clock.monotonicMs();
      this.#polling = false;
    }
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#timer?.cancel();
    this.#timer = undefined;
    for (const callback of waiting) callback();
    if (this.freeBytes < this.#looksUntilBytes) this.#lookAgain();
  }

  #lookAgain(): void {
    if (this.#isClosed) return;
    this.#timer ??= this.#timers.after(POLL_MS, () => {
      this.#timer = undefined;
      void this.#poll();
    });
  }
}
