/**
 * Walks the batches of a file that is not written to, both checksums verified. The offsets may have holes, as compaction
 * leaves them. One window of memory is used throughout: what it hands out is gone with the next batch.
 */
import { baseOffsetAt, batchBytesAt, HEADER_BYTES, lastOffsetAt, verifyRecordsCrc } from '@partita/batch';
import { BATCH_BYTES_MAX } from '@partita/domain';
import { isIntactHeader } from '../batch-scan.ts';
import type { DiskFile } from '../disk.ts';
import { IO_BYTES } from './compaction-io.ts';
import type { CompactionIo } from './compaction-io.ts';

/** A run of batches in an open file. */
export interface BatchRange {
  readonly file: DiskFile;
  readonly path: string;
  /** Seed of the partition's header checksums. */
  readonly seed: number;
  /** Where a batch begins, and where the last one ends. */
  readonly position: number;
  readonly end: number;
  /** All offsets are from the one to below the other. */
  readonly baseOffset: bigint;
  readonly endOffset: bigint;
}

export class BatchReader {
  readonly #io: CompactionIo;
  readonly #range: BatchRange;
  readonly #window: Buffer;
  /** What of the window was read. */
  #filled = 0;
  /** Place in the file of the window's first byte. */
  #start: number;
  /** Place in the file of the present batch, and of the next one. */
  #position: number;
  #next: number;
  #nextOffset: bigint;

  constructor(io: CompactionIo, range: BatchRange) {
    this.#io = io;
    this.#range = range;
    // A small segment needs no large window, and a pass makes several of each.
    this.#window = Buffer.allocUnsafe(Math.min(Math.max(IO_BYTES, BATCH_BYTES_MAX), range.end - range.position));
    this.#start = this.#position = this.#next = range.position;
    this.#nextOffset = range.baseOffset;
  }

  /** The window; the present batch begins at `at`. */
  get bytes(): Buffer {
    return this.#window;
  }

  get at(): number {
    return this.#position - this.#start;
  }

  /** Place of the present batch in the file. */
  get position(): number {
    return this.#position;
  }

  /** The bytes of the present batch, a view. */
  get batch(): Buffer {
    return this.#window.subarray(this.at, this.#next - this.#start);
  }

  /** Moves to the next batch; false behind the last. CORRUPT_BATCH for anything else than intact batches to the end. */
  async next(): Promise<boolean> {
    this.#position = this.#next;
    const { end, endOffset, seed } = this.#range;
    if (this.#position === end) return false;
    await this.#hold(HEADER_BYTES);
    if (!isIntactHeader(this.#window, this.at, seed))
      throw this.#corrupt('the header of a batch does not match its checksum');
    await this.#hold(batchBytesAt(this.#window, this.at));
    const { at } = this;
    if (baseOffsetAt(this.#window, at) < this.#nextOffset)
      throw this.#corrupt('a batch has an offset of the one before it');
    const lastOffset = lastOffsetAt(this.#window, at);
    if (lastOffset >= endOffset) throw this.#corrupt('a batch has an offset of the next segment');
    if (!verifyRecordsCrc(this.#window, at)) throw this.#corrupt('the records do not match their checksum');
    this.#nextOffset = lastOffset + 1n;
    this.#next = this.#position + batchBytesAt(this.#window, at);
    return true;
  }

  /** Reads on, if need be, so that `length` bytes from the present batch on are in the window. */
  async #hold(length: number): Promise<void> {
    if (this.at + length <= this.#filled) return;
    if (this.#position + length > this.#range.end) throw this.#corrupt('the file ends within a batch');
    this.#window.copy(this.#window, 0, this.at, this.#filled);
    this.#filled -= this.at;
    this.#start = this.#position;
    const from = this.#start + this.#filled;
    const wanted = Math.min(
      Math.max(length - this.#filled, IO_BYTES),
      this.#window.length - this.#filled,
      this.#range.end - from,
    );
    await this.#io.pace(wanted);
    const read = await this.#range.file.read(this.#window.subarray(this.#filled, this.#filled + wanted), from);
    if (read !== wanted) throw this.#corrupt('the file is shorter than the log');
    this.#filled += read;
  }

  #corrupt(why: string): Error {
    return this.#io.corrupt(this.#range.path, this.#position, why);
  }
}
