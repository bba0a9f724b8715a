/**
 * The sparse index of a segment: where to begin looking for an offset or a time. In memory it has the form of its file,
 * `.idx`, a sequence of entries of 40 bytes, little-endian; each names one batch:
 *
 *      0  base_offset        int64     24  last_offset_delta  int32
 *      8  max_timestamp_ms   int64     28  leader_epoch       int32
 *     16  position           uint32    32  header_crc         uint32 (that of the batch)
 *     20  batch_bytes        uint32    36  crc                uint32, CRC-32C of bytes 0-35, seeded as header_crc
 *
 * `max_timestamp_ms` is the highest of all batches from the start of the segment to this one's end. There is an entry
 * for the first batch, for the first of each leader epoch (so that epochs are known without reading headers), for a batch
 * 32 KiB or more behind the last entry's, and for the last batch of a sealed or cleanly closed segment.
 *
 * An entry goes to the file only after the fsync of the batch it names, so the file proves what was durable. It is
 * itself not synced but when sealed: after a crash the intact entries at its start count, the rest is made again.
 */
import { crc32c } from '@partita/batch';

/** Bytes of log between two entries, about. */
export const INDEX_INTERVAL_BYTES = 32 * 1024;
export const INDEX_ENTRY_BYTES = 40;

const TIMESTAMP_AT = 8;
const POSITION_AT = 16;
const BATCH_BYTES_AT = 20;
const DELTA_AT = 24;
const EPOCH_AT = 28;
const HEADER_CRC_AT = 32;
const CRC_AT = 36;

/** One indexed batch. */
export interface IndexEntry {
  readonly baseOffset: bigint;
  /** Highest record timestamp from the start of the segment to the end of this batch. */
  readonly maxTimestampMs: bigint;
  /** Where the batch begins in the log file. */
  readonly position: number;
  readonly batchBytes: number;
  readonly lastOffsetDelta: number;
  readonly leaderEpoch: number;
  readonly headerCrc: number;
}

export class OffsetIndex {
  readonly #seed: number;
  #bytes: Buffer;
  #count = 0;
  /** The newest batch when it has no entry (yet). */
  #last: IndexEntry | undefined;
  /** Highest timestamp of the batches passed over since the newest batch was noted. */
  #passedMaxMs: bigint | undefined;

  /** `seed` is that of the partition's header checksums. */
  constructor(seed: number, bytes: Buffer = Buffer.alloc(0)) {
    this.#seed = seed;
    this.#bytes = bytes;
  }

  /** The intact entries at the start of an index file. */
  static decode(bytes: Buffer, seed: number): OffsetIndex {
    const index = new OffsetIndex(seed, bytes);
    let end = 0;
    for (let at = 0; at + INDEX_ENTRY_BYTES <= bytes.length; at += INDEX_ENTRY_BYTES) {
      const crc = crc32c(bytes.subarray(at, at + CRC_AT), seed);
      const position = bytes.readUInt32LE(at + POSITION_AT);
      if (crc !== bytes.readUInt32LE(at + CRC_AT) || position < end) break;
      end = position + bytes.readUInt32LE(at + BATCH_BYTES_AT);
      index.#count += 1;
    }
    return index;
  }

  /** Number of entries. */
  get count(): number {
    return this.#count;
  }

  /** Bytes of memory that the entries take. */
  get memoryBytes(): number {
    return this.#bytes.length;
  }

  /** Highest timestamp of all batches noted; undefined without one. */
  get maxTimestampMs(): bigint | undefined {
    return (this.#last ?? this.at(this.#count - 1))?.maxTimestampMs;
  }

  /** The entry with that number, from 0. */
  at(number: number): IndexEntry | undefined {
    if (number < 0 || number >= this.#count) return undefined;
    const at = number * INDEX_ENTRY_BYTES;
    const bytes = this.#bytes;
    return {
      baseOffset: bytes.readBigInt64LE(at),
      maxTimestampMs: bytes.readBigInt64LE(at + TIMESTAMP_AT),
      position: bytes.readUInt32LE(at + POSITION_AT),
      batchBytes: bytes.readUInt32LE(at + BATCH_BYTES_AT),
      lastOffsetDelta: bytes.readInt32LE(at + DELTA_AT),
      leaderEpoch: bytes.readInt32LE(at + EPOCH_AT),
      headerCrc: bytes.readUInt32LE(at + HEADER_CRC_AT),
    };
  }

  /** Number of the last entry whose batch begins at or below the offset; -1 when there is none. */
  floorNumber(offset: bigint): number {
    return this.#countWhile((at) => this.#bytes.readBigInt64LE(at) <= offset) - 1;
  }

  /** Number of the first entry up to whose batch a timestamp at or above the given one occurs; `count` when none. */
  numberForTime(timestampMs: bigint): number {
    return this.#countWhile((at) => this.#bytes.readBigInt64LE(at + TIMESTAMP_AT) < timestampMs);
  }

  /** Takes in the next batch of the segment; makes an entry for it when one is due. */
  note(batch: IndexEntry): void {
    const before = higher(this.maxTimestampMs, this.#passedMaxMs);
    this.#passedMaxMs = undefined;
    const maxTimestampMs = before !== undefined && before > batch.maxTimestampMs ? before : batch.maxTimestampMs;
    this.#last = maxTimestampMs === batch.maxTimestampMs ? batch : { ...batch, maxTimestampMs };
    if (this.isDue(batch.position, batch.leaderEpoch)) this.complete();
  }

  /**
   * Takes in the next batch as one that needs no entry: none is due, and another batch is noted before anything else is
   * asked of the index. Spares the write path, which has thousands of small batches in a write, an object for each.
   */
  pass(maxTimestampMs: bigint): void {
    this.#passedMaxMs = higher(this.#passedMaxMs, maxTimestampMs);
  }

  /** True when a batch that begins there is to get an entry. Reads two values instead of an entry. */
  isDue(position: number, leaderEpoch: number): boolean {
    if (this.#count === 0) return true;
    const at = (this.#count - 1) * INDEX_ENTRY_BYTES;
    return (
      this.#bytes.readInt32LE(at + EPOCH_AT) !== leaderEpoch ||
      position - this.#bytes.readUInt32LE(at + POSITION_AT) >= INDEX_INTERVAL_BYTES
    );
  }

  /** Makes an entry for the newest batch, if it has none: the segment is sealed or closed. */
  complete(): void {
    const last = this.#last;
    if (last === undefined) return;
    const at = this.#count * INDEX_ENTRY_BYTES;
    if (at + INDEX_ENTRY_BYTES > this.#bytes.length) {
      this.#bytes = Buffer.concat([this.#bytes.subarray(0, at), Buffer.alloc(Math.max(at, 4 * INDEX_ENTRY_BYTES))]);
    }
    const bytes = this.#bytes;
    bytes.writeBigInt64LE(last.baseOffset, at);
    bytes.writeBigInt64LE(last.maxTimestampMs, at + TIMESTAMP_AT);
    bytes.writeUInt32LE(last.position, at + POSITION_AT);
    bytes.writeUInt32LE(last.batchBytes, at + BATCH_BYTES_AT);
    bytes.writeInt32LE(last.lastOffsetDelta, at + DELTA_AT);
    bytes.writeInt32LE(last.leaderEpoch, at + EPOCH_AT);
    bytes.writeUInt32LE(last.headerCrc, at + HEADER_CRC_AT);
    bytes.writeUInt32LE(crc32c(bytes.subarray(at, at + CRC_AT), this.#seed), at + CRC_AT);
    this.#count += 1;
    this.#last = undefined;
  }

  /** Drops the entries from that number on, and the newest batch if it has none. */
  keep(count: number): void {
    this.#count = Math.min(this.#count, count);
    this.#last = undefined;
  }

  /** A copy of the entries from the one number to the other, exclusive, as the file holds them. */
  encode(from = 0, to = this.#count): Buffer {
    return Buffer.from(this.#bytes.subarray(from * INDEX_ENTRY_BYTES, to * INDEX_ENTRY_BYTES));
  }

  /** How many entries at the start satisfy a condition that holds for a prefix. */
  #countWhile(holds: (at: number) => boolean): number {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (holds(middle * INDEX_ENTRY_BYTES)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function higher(one: bigint | undefined, other: bigint | undefined): bigint | undefined {
  return one === undefined || (other !== undefined && other > one) ? other : one;
}
