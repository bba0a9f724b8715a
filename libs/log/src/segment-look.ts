/**
 * A segment as recovery looks at it before it changes anything: its size, and its first bytes, which one reading serves.
 * A broker opens ten thousand logs at its start, and most of them are smaller than that.
 */
import type { Segment } from './segment.ts';

const FIRST_BYTES_MAX = 8 * 1024;

export class SegmentLook {
  /** Bytes of the file. */
  readonly size: number;
  readonly #segment: Segment;
  readonly #first: Buffer;

  private constructor(segment: Segment, size: number, first: Buffer) {
    this.#segment = segment;
    this.size = size;
    this.#first = first;
  }

  /** Looks at the file, which nobody may write until the look is dropped. */
  static async at(segment: Segment): Promise<SegmentLook> {
    return segment.use(async (file) => {
      const size = await file.size();
      const first = Buffer.alloc(Math.min(size, FIRST_BYTES_MAX));
      const read = await file.read(first, 0);
      return new SegmentLook(segment, size, first.subarray(0, read));
    });
  }

  /** As a file reads: fills `buffer` from `position`, returns the bytes read, fewer only at the end of the file. */
  async read(buffer: Uint8Array, position: number): Promise<number> {
    const end = position + buffer.length;
    if (end > this.#first.length) return this.#segment.use((file) => file.read(buffer, position));
    return this.#first.copy(buffer, 0, position, end);
  }
}
