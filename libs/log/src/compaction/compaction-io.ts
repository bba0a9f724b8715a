/** What a compaction may use of the machine, and how fast: the disk is shared with the appends that it must not disturb. */
import { PartitaError } from '@partita/domain';
import type { Disk } from '../disk.ts';
import { corruptFile } from '../log-damage.ts';
import type { LogIdentity } from '../segment-header.ts';

/** Bytes of one read or write. */
export const IO_BYTES = 1024 * 1024;

/** The doors of a compaction to the outside. */
export interface CompactionHooks {
  /** Monotonic milliseconds. */
  readonly monotonicMs: () => number;
  /** Resolves after the time, or rejects when the compaction is to end; either may be at once. */
  readonly wait: (ms: number) => Promise<void>;
  /** Any random uint32: which keys share a slot must not be known to those who choose the keys. */
  readonly hashSeed: number;
}

/** The disk, the partition, and the pace. One transfer at a time is under way. */
export class CompactionIo {
  readonly disk: Disk;
  readonly directory: string;
  readonly identity: LogIdentity;
  readonly #hooks: CompactionHooks;
  readonly #bytesPerSecondMax: number | undefined;
  /** When the bytes so far are paid for, on the hooks' clock. */
  #paidMs: number;

  constructor(
    disk: Disk,
    plan: { directory: string; identity: LogIdentity; bytesPerSecondMax: number | undefined },
    hooks: CompactionHooks,
  ) {
    this.disk = disk;
    this.directory = plan.directory;
    this.identity = plan.identity;
    this.#hooks = hooks;
    this.#bytesPerSecondMax = plan.bytesPerSecondMax;
    this.#paidMs = hooks.monotonicMs();
  }

  /** Waits until `bytes` may be read or written. Also the place where a compaction that is to end does. */
  async pace(bytes: number): Promise<void> {
    const nowMs = this.#hooks.monotonicMs();
    const waitMs = Math.max(0, this.#paidMs - nowMs);
    // Time that was not used is not saved up: after a pause the disk is asked no harder than before.
    const costMs = this.#bytesPerSecondMax === undefined ? 0 : (bytes * 1000) / this.#bytesPerSecondMax;
    this.#paidMs = nowMs + waitMs + costMs;
    await this.#hooks.wait(waitMs);
  }

  /** Bytes that are not what was written there: the compaction ends, the files stay. */
  corrupt(path: string, position: number, why: string): PartitaError {
    return corruptFile(this.identity, path, position, why);
  }
}
