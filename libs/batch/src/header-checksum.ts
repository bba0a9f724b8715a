/**
 * The two checksums of a batch, and the leader's stamp. `header_crc` covers the header's other 124 bytes (0-28 and
 * 33-127) and is seeded with the partition's name, so that a batch that ends up in a foreign log does not verify there.
 */
import { crc32c } from './crc32c.ts';
import { batchBytesAt, FIELD_AT, HEADER_BYTES } from './batch-header.ts';
import { headerCrcAt, recordsAt, recordsCrcAt } from './header-access.ts';
import { putInt32, putInt64 } from './little-endian.ts';
import { shortCrc32c } from './short-crc32c.ts';

/** What a leader writes into a batch when it appends it. */
export interface BatchStamp {
  readonly baseOffset: bigint;
  readonly leaderEpoch: number;
  readonly appendTimeMs: bigint;
}

/** Seed of every header_crc of a partition: CRC-32C of the UTF-8 bytes of `<topic id>/<partition>`. Compute it once. */
export function headerSeed(topicId: string, partition: number): number {
  return crc32c(Buffer.from(`${topicId}/${partition}`, 'utf8'));
}

/** Stamps the canonical batch at the start of `batch`, in place: offset, epoch, time, then the header's checksum. */
export function stampBatch(batch: Uint8Array, stamp: BatchStamp, seed: number): void {
  putInt64(batch, FIELD_AT.baseOffset, stamp.baseOffset);
  putInt32(batch, FIELD_AT.leaderEpoch, stamp.leaderEpoch);
  putInt64(batch, FIELD_AT.appendTimeMs, stamp.appendTimeMs);
  putInt32(batch, FIELD_AT.headerCrc, headerCrc(batch, 0, seed));
}

/** True when the header at `position` is the one that a leader of this partition stamped. */
export function verifyHeaderCrc(buf: Uint8Array, position: number, seed: number): boolean {
  return headerCrcAt(buf, position) === headerCrc(buf, position, seed);
}

/** True when the records are in `buf` to their end and are those that the producer sent. */
export function verifyRecordsCrc(buf: Uint8Array, position: number): boolean {
  if (position + batchBytesAt(buf, position) > buf.length) return false;
  return recordsCrcAt(buf, position) === crc32c(recordsAt(buf, position));
}

function headerCrc(buf: Uint8Array, position: number, seed: number): number {
  const crcAt = position + FIELD_AT.headerCrc;
  return shortCrc32c(buf, crcAt + 4, position + HEADER_BYTES, shortCrc32c(buf, position, crcAt, seed));
}
