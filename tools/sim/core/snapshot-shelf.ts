/** Snapshots of leaders on their way to followers: the bytes name them, as the bytes of an append name its content. */
import { EMPTY_BASE } from './stored-batch.ts';
import type { LogBase } from './stored-batch.ts';

export class SnapshotShelf {
  readonly #snapshots: LogBase[] = [];

  keep(base: LogBase): { baseOffset: bigint; content: Uint8Array } {
    this.#snapshots.push(base);
    return { baseOffset: base.offset, content: new Uint8Array([this.#snapshots.length, this.#snapshots.length >> 8]) };
  }

  /** Without content: the state of an empty log. */
  of(baseOffset: bigint, content: Uint8Array | undefined): LogBase {
    const [low = 0, high = 0] = content ?? [];
    return this.#snapshots[low + high * 256 - 1] ?? { ...EMPTY_BASE, offset: baseOffset };
  }
}
