/**
 * Walks every batch of a segment file, good or bad, in bounded memory, and goes on behind damage at the next header that
 * is intact for this partition. Recovery stops at the first fault (batch-scan.ts); who looks for all of them comes here.
 */
import { batchBytesAt, HEADER_BYTES, isBatchAt, verifyHeaderCrc, verifyRecordsCrc } from '@partita/batch';
import { BATCH_BYTES_MAX } from '@partita/domain';
import { isIntactHeader } from '../batch-scan.ts';
import type { DiskFile } from '../disk.ts';

const WINDOW_BYTES = 1024 * 1024;

/** A batch whose header is intact, records included as far as the file has them. */
export interface WalkedBatch {
  readonly kind: 'batch';
  /** Where it begins in the file. */
  readonly position: number;
  /** Valid until the next step only. */
  readonly bytes: Buffer;
  /** Where it begins in `bytes`. */
  readonly at: number;
  /** False when the file ends within it. */
  readonly isWhole: boolean;
  /** What is wrong with its records; undefined when nothing is. */
  readonly fault: string | undefined;
}

/** Bytes that are no batch. */
export interface WalkedGap {
  readonly kind: 'gap';
  readonly position: number;
  readonly end: number;
  readonly fault: string;
}

export interface WalkRange {
  readonly file: DiskFile;
  /** Seed of the partition's header checksums. */
  readonly seed: number;
  readonly position: number;
  readonly end: number;
}

/** The steps cover the range without a hole, in order. */
export async function* walkBatches(range: WalkRange): AsyncGenerator<WalkedBatch | WalkedGap, void, undefined> {
  const window = new FileWindow(range.file, range.end);
  let { position } = range;
  while (position < range.end) {
    const fault = await headerFault(window, position, range);
    if (fault !== undefined) {
      const end = await endOfGap(window, position, range);
      yield { kind: 'gap', position, end, fault };
      position = end;
      continue;
    }
    const batchBytes = batchBytesAt(window.bytes, window.indexOf(position));
    const isWhole = await window.holds(position, batchBytes);
    const at = window.indexOf(position);
    yield { kind: 'batch', position, bytes: window.bytes, at, isWhole, fault: recordsFault(window.bytes, at, isWhole) };
    position += batchBytes;
  }
}

function recordsFault(bytes: Buffer, at: number, isWhole: boolean): string | undefined {
  if (!isWhole) return `cut short: ${batchBytesAt(bytes, at) - (bytes.length - at)} bytes of its end are missing`;
  return verifyRecordsCrc(bytes, at) ? undefined : 'the records do not match their checksum';
}

/** Why no batch of this partition begins at the position; undefined when one does. */
async function headerFault(window: FileWindow, position: number, range: WalkRange): Promise<string | undefined> {
  if (!(await window.holds(position, HEADER_BYTES))) return `cut short: ${range.end - position} bytes are no header`;
  const at = window.indexOf(position);
  if (!isBatchAt(window.bytes, at)) return 'no batch header stands here';
  if (batchBytesAt(window.bytes, at) > BATCH_BYTES_MAX) return 'the header claims more bytes than a batch may have';
  return verifyHeaderCrc(window.bytes, at, range.seed) ? undefined : 'the header does not match its checksum';
}

/** Where the next intact header begins, or the end of the range. */
async function endOfGap(window: FileWindow, position: number, range: WalkRange): Promise<number> {
  const claimed = await claimedEnd(window, position, range);
  if (claimed !== undefined) return claimed;
  for (let from = position + 1; from < range.end;) {
    if (!(await window.holds(from, HEADER_BYTES))) return range.end;
    const { bytes } = window;
    const last = bytes.length - HEADER_BYTES;
    for (let at = bytes.indexOf(0x0a, window.indexOf(from)); at >= 0 && at <= last; at = bytes.indexOf(0x0a, at + 1)) {
      if (isIntactHeader(bytes, at, range.seed)) return window.positionOf(at);
    }
    from = window.positionOf(last + 1);
  }
  return range.end;
}

/**
 * Where the batch of a damaged header ends by its lengths, if these are believable. Tried first, since the search for a
 * header may find one within a value.
 */
async function claimedEnd(window: FileWindow, position: number, range: WalkRange): Promise<number | undefined> {
  if (!(await window.holds(position, HEADER_BYTES))) return undefined;
  const at = window.indexOf(position);
  if (!isBatchAt(window.bytes, at) || batchBytesAt(window.bytes, at) > BATCH_BYTES_MAX) return undefined;
  const claimed = position + batchBytesAt(window.bytes, at);
  if (claimed === range.end) return claimed;
  if (!(await window.holds(claimed, HEADER_BYTES))) return undefined;
  return isIntactHeader(window.bytes, window.indexOf(claimed), range.seed) ? claimed : undefined;
}

/** The part of a file that is in memory. */
class FileWindow {
  bytes: Buffer = Buffer.alloc(0);
  readonly #file: DiskFile;
  readonly #end: number;
  #start = 0;

  constructor(file: DiskFile, end: number) {
    this.#file = file;
    this.#end = end;
  }

  /** Index in `bytes` of a place in the file. */
  indexOf(position: number): number {
    return position - this.#start;
  }

  /** Place in the file of an index in `bytes`. */
  positionOf(index: number): number {
    return this.#start + index;
  }

  /** Reads on, if need be, so that `length` bytes from `position` are in memory; false when the file has fewer. */
  async holds(position: number, length: number): Promise<boolean> {
    if (position >= this.#start && position + length <= this.#start + this.bytes.length) return true;
    const wanted = Math.max(0, Math.min(Math.max(length, WINDOW_BYTES), this.#end - position));
    const bytes = Buffer.allocUnsafe(wanted);
    this.bytes = bytes.subarray(0, await this.#file.read(bytes, position));
    this.#start = position;
    return this.bytes.length >= length;
  }
}
