/**
 * The state of a partition before a segment, in `<base offset>.snapshot`: the fold of all that came before, so that it
 * outlives the segments it was made from. State = snapshot of the last segment + batches from there on. Written
 * atomically before the segment's first byte. Little-endian:
 *
 *      0  50 41 52 54 ("PART")             16  last_append_time_ms  int64 (0: nothing appended before)
 *      4  format_version uint32, 1         24  section count        uint32
 *      8  base_offset    int64             28  sections, each: kind uint32, length uint32, content
 *    end  crc uint32, CRC-32C of all before it
 *
 * Section kind 1, epochs: per leader epoch int32 epoch, int64 start offset; oldest first. A kind that is not known is
 * passed over, so that a release can add one (producers, configurations) that the one before it ignores.
 */
import { crc32c } from '@partita/batch';
import type { EpochStart } from './epoch-history.ts';

const MAGIC = 0x54524150;
const FORMAT_VERSION = 1;
const HEAD_BYTES = 28;
const SECTION_HEAD_BYTES = 8;
const CRC_BYTES = 4;
const EPOCHS = 1;
const EPOCH_BYTES = 12;

export interface Snapshot {
  /** Everything below it is in the snapshot. */
  readonly baseOffset: bigint;
  /** Append time of the last batch below it, milliseconds UTC; 0 when there is none. */
  readonly lastAppendTimeMs: bigint;
  readonly epochs: readonly EpochStart[];
}

export function encodeSnapshot(snapshot: Snapshot): Buffer {
  const epochsBytes = snapshot.epochs.length * EPOCH_BYTES;
  const bytes = Buffer.alloc(HEAD_BYTES + SECTION_HEAD_BYTES + epochsBytes + CRC_BYTES);
  bytes.writeUInt32LE(MAGIC, 0);
  bytes.writeUInt32LE(FORMAT_VERSION, 4);
  bytes.writeBigInt64LE(snapshot.baseOffset, 8);
  bytes.writeBigInt64LE(snapshot.lastAppendTimeMs, 16);
  bytes.writeUInt32LE(1, 24);
  bytes.writeUInt32LE(EPOCHS, HEAD_BYTES);
  bytes.writeUInt32LE(epochsBytes, HEAD_BYTES + 4);
  let at = HEAD_BYTES + SECTION_HEAD_BYTES;
  for (const { epoch, startOffset } of snapshot.epochs) {
    bytes.writeInt32LE(epoch, at);
    bytes.writeBigInt64LE(startOffset, at + 4);
    at += EPOCH_BYTES;
  }
  bytes.writeUInt32LE(crc32c(bytes.subarray(0, at)), at);
  return bytes;
}

/** The snapshot, or undefined when the bytes are damaged or of a version that this release does not know. */
export function decodeSnapshot(bytes: Buffer): Snapshot | undefined {
  const end = bytes.length - CRC_BYTES;
  if (end < HEAD_BYTES || crc32c(bytes.subarray(0, end)) !== bytes.readUInt32LE(end)) return undefined;
  if (bytes.readUInt32LE(0) !== MAGIC || bytes.readUInt32LE(4) !== FORMAT_VERSION) return undefined;
  const epochs: EpochStart[] = [];
  let at = HEAD_BYTES;
  for (let left = bytes.readUInt32LE(24); left > 0; left -= 1) {
    const kind = bytes.readUInt32LE(at);
    const next = at + SECTION_HEAD_BYTES + bytes.readUInt32LE(at + 4);
    for (at += SECTION_HEAD_BYTES; kind === EPOCHS && at < next; at += EPOCH_BYTES) {
      epochs.push({ epoch: bytes.readInt32LE(at), startOffset: bytes.readBigInt64LE(at + 4) });
    }
    at = next;
  }
  return { baseOffset: bytes.readBigInt64LE(8), lastAppendTimeMs: bytes.readBigInt64LE(16), epochs };
}
