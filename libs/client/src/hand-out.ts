/**
 * Hands records out of the buffer, to one loop or to several workers: a partition's next record only once its last one is
 * finished, so that each is in order and what is finished is all that is below. Waits where there is none.
 */
import type { HeldPartition } from './held-partition.ts';
import type { DeliveryBuffer } from './delivery-buffer.ts';
import type { ReceivedRecord } from './record-form.ts';

/** Records in a handler's hands, all of one partition; at least one. */
export interface HandedOut {
  readonly held: HeldPartition;
  readonly records: readonly ReceivedRecord[];
  /** How often the position had been moved by then. */
  readonly moves: number;
}

export class HandOut {
  readonly #buffer: DeliveryBuffer;
  /** Told after each taking. */
  readonly #onTaken: () => void;
  /** One per worker that waits. */
  #waiting: (() => void)[] = [];
  #isOver = false;

  constructor(buffer: DeliveryBuffer, onTaken: () => void) {
    this.#buffer = buffer;
    this.#onTaken = onTaken;
  }

  /** The next records, at most so many; undefined once it is over. Throws CORRUPT_BATCH and the like. */
  async take(recordCountMax: number): Promise<HandedOut | undefined> {
    for (;;) {
      if (this.#isOver) return undefined;
      const taken = this.#buffer.take();
      if (taken !== undefined) {
        const { held, record } = taken;
        held.busy = true;
        const more = recordCountMax > 1 ? this.#buffer.more(held, recordCountMax - 1) : [];
        this.#onTaken();
        return { held, records: [record, ...more], moves: held.moves };
      }
      // What was dropped on the way is owed for, too.
      this.#onTaken();
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** The handler is done with them. True when the partition stands where the last of them ends. */
  finish({ held, records, moves }: HandedOut): boolean {
    held.busy = false;
    const last = records.at(-1);
    if (last === undefined || moves !== held.moves) return false;
    held.finish(last);
    return true;
  }

  /** There may be something to take. */
  wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  /** Nothing is handed out any more. */
  end(): void {
    this.#isOver = true;
    this.wake();
  }
}
