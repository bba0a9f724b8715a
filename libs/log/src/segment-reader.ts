/**
 * Reads whole batches from a segment: what a fetch answers. Both checksums of every batch that is handed out are
 * verified, the header's also of those that are passed over, since their lengths are trusted.
 */
import {
  batchBytesAt,
  HEADER_BYTES,
  lastOffsetAt,
  maxTimestampMsAt,
  baseOffsetAt,
  verifyRecordsCrc,
} from '@partita/batch';
import { isIntactHeader, scanBatches } from './batch-scan.ts';
import type { DiskFile } from './disk.ts';
import { INDEX_INTERVAL_BYTES } from './offset-index.ts';
import { corruptBatch, scanStart } from './segment.ts';
import type { Segment } from './segment.ts';

/** Whole batches, and the offset to read from next. */
export interface LogSlice {
  readonly bytes: Buffer;
  readonly nextOffset: bigint;
}

export interface SliceRange {
  readonly fromOffset: bigint;
  /** Exclusive: a batch that reaches beyond is not handed out. */
  readonly endOffset: bigint;
  /** At least one batch is handed out, however large. */
  readonly maxBytes: number;
}

/**
 * The batches of one segment from the one that holds `fromOffset` on; empty when there are none below `endOffset`. Then
 * `nextOffset` lies behind the hole that was found instead, if there is one.
 */
export async function readLog(segments: readonly Segment[], range: SliceRange): Promise<LogSlice> {
  let { fromOffset } = range;
  while (fromOffset < range.endOffset) {
    // Found anew each time: a trim may have shortened the list meanwhile.
    const segment = segments.findLast(({ baseOffset }) => baseOffset <= fromOffset);
    if (segment === undefined) break;
    const slice = await readSegment(segment, { ...range, fromOffset });
    if (slice.bytes.length > 0 || slice.nextOffset === fromOffset) return slice;
    fromOffset = slice.nextOffset;
  }
  return { bytes: Buffer.alloc(0), nextOffset: fromOffset };
}

/**
 * The batches from the one that holds `fromOffset` on; empty when the segment has none below `endOffset`. Then `nextOffset`
 * lies behind the hole that was found instead, if there is one.
 */
async function readSegment(segment: Segment, range: SliceRange): Promise<LogSlice> {
  const index = await segment.index();
  const entry = index.at(index.floorNumber(range.fromOffset));
  const { position, nextOffset } = scanStart(segment, entry);
  // Whoever reads on from batch to batch often begins at an indexed one: nothing is read to be passed over.
  const passedBytesMax = entry?.baseOffset === range.fromOffset ? 0 : INDEX_INTERVAL_BYTES;
  // Taken together: batches that become durable meanwhile are no part of this reading.
  const { size, endOffset } = segment;
  return segment.use((file) =>
    new Reading(segment, file, { size, endOffset, nextOffset }).slice(position, passedBytesMax, range),
  );
}

/** What is durable of a segment, and the offset from which a reading begins. */
interface DurablePart {
  readonly size: number;
  readonly endOffset: bigint;
  readonly nextOffset: bigint;
}

/** One reading: a window of the file that begins at a batch. */
class Reading {
  readonly #segment: Segment;
  readonly #file: DiskFile;
  readonly #size: number;
  #bytes: Buffer = Buffer.alloc(0);
  readonly #endOffset: bigint;
  #start = 0;
  /** Offset behind the last good batch. */
  #nextOffset: bigint;

  constructor(segment: Segment, file: DiskFile, durable: DurablePart) {
    this.#segment = segment;
    this.#file = file;
    this.#size = durable.size;
    this.#endOffset = durable.endOffset;
    this.#nextOffset = durable.nextOffset;
  }

  async slice(position: number, passedBytesMax: number, range: SliceRange): Promise<LogSlice> {
    await this.#load(position, passedBytesMax + range.maxBytes);
    const begin = await this.#find(range);
    let at = begin;
    let nextOffset = range.fromOffset;
    while (this.#holdsBatch(at)) {
      const next = at + batchBytesAt(this.#bytes, at);
      if (at > begin && next - begin > range.maxBytes) break;
      const lastOffset = lastOffsetAt(this.#bytes, at);
      if (lastOffset >= range.endOffset) break;
      if (!verifyRecordsCrc(this.#bytes, at)) throw this.#corrupt(at, 'the records do not match their checksum');
      nextOffset = this.#nextOffset = lastOffset + 1n;
      at = next;
    }
    if (at === begin) nextOffset = this.#behindHole(at, range);
    return { bytes: this.#bytes.subarray(begin, at), nextOffset };
  }

  /** Where the next batch begins when none from the offset on is handed out, at most `endOffset`. */
  #behindHole(at: number, { fromOffset, endOffset }: SliceRange): bigint {
    const isAtEnd = this.#start + at >= this.#size;
    const next = isAtEnd ? this.#endOffset : baseOffsetAt(this.#bytes, at);
    if (next >= endOffset) return endOffset > fromOffset ? endOffset : fromOffset;
    return next > fromOffset ? next : fromOffset;
  }

  /** Index in the window of the first batch that ends at or above the offset, with that batch whole in the window. */
  async #find(range: SliceRange): Promise<number> {
    let at = 0;
    while (this.#start + at < this.#size) {
      if (!this.#holdsBatch(at)) {
        const isHeaderIn = at + HEADER_BYTES <= this.#bytes.length;
        const wanted = isHeaderIn ? batchBytesAt(this.#bytes, at) : HEADER_BYTES;
        await this.#load(this.#start + at, Math.max(wanted, range.maxBytes));
        at = 0;
        if (this.#bytes.length < wanted) throw this.#corrupt(0, 'the file ends within a batch');
        continue;
      }
      if (lastOffsetAt(this.#bytes, at) >= range.fromOffset) return at;
      this.#nextOffset = lastOffsetAt(this.#bytes, at) + 1n;
      at += batchBytesAt(this.#bytes, at);
    }
    return at;
  }

  /** True when the batch at `at` is whole in the window; throws when what is there of it is no intact header. */
  #holdsBatch(at: number): boolean {
    if (at + HEADER_BYTES > this.#bytes.length) return false;
    if (!isIntactHeader(this.#bytes, at, this.#segment.home.seed)) {
      throw this.#corrupt(at, 'the header of a batch does not match its checksum');
    }
    return at + batchBytesAt(this.#bytes, at) <= this.#bytes.length;
  }

  async #load(position: number, wanted: number): Promise<void> {
    const bytes = Buffer.allocUnsafe(Math.min(wanted, this.#size - position));
    this.#bytes = bytes.subarray(0, await this.#file.read(bytes, position));
    this.#start = position;
  }

  #corrupt(at: number, why: string): Error {
    const place = { position: this.#start + at, nextOffset: this.#nextOffset };
    return corruptBatch(this.#segment.home, this.#segment.path, place, why);
  }
}

/** Base offset of the log's first such batch (findTime), at least `logStart`. */
export async function findTimeIn(
  segments: readonly Segment[],
  timestampMs: bigint,
  logStart: bigint,
): Promise<bigint | undefined> {
  // Not those that a trim is just removing.
  for (const segment of segments.filter(({ endOffset }) => endOffset > logStart)) {
    const found = await findTime(segment, timestampMs, logStart);
    if (found !== undefined) return found > logStart ? found : logStart;
  }
  return undefined;
}

/**
 * Base offset of the segment's first batch that ends above `logStart` and has a timestamp at or above the given one;
 * undefined when it has none.
 */
async function findTime(segment: Segment, timestampMs: bigint, logStart: bigint): Promise<bigint | undefined> {
  const index = await segment.index();
  const max = index.maxTimestampMs;
  if (max === undefined || max < timestampMs) return undefined;
  // The running maximum passes the time behind the entry before this one.
  const before = index.at(index.numberForTime(timestampMs) - 1);
  const end = segment.size;
  let found: bigint | undefined;
  const stop = await segment.use((file) =>
    scanBatches({ file, seed: segment.home.seed, ...scanStart(segment, before), end }, (bytes, at) => {
      const isKept = lastOffsetAt(bytes, at) >= logStart;
      if (isKept && maxTimestampMsAt(bytes, at) >= timestampMs) found = baseOffsetAt(bytes, at);
      return found === undefined;
    }),
  );
  if (stop.fault !== undefined) throw corruptBatch(segment.home, segment.path, stop, stop.fault.why);
  return found;
}
