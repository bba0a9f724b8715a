/**
 * The file `checkpoint`: what was durable and committed in every partition of the broker at some moment, written each
 * second as a whole. It only ever lags behind, so the one before a crash is good. Little-endian:
 *
 *      0  50 41 43 4B ("PACK")        12  entries of 44 bytes, in no order:
 *      4  format_version uint32, 1          +0  topic id, 16 bytes      +20  high watermark  int64
 *      8  entry count    uint32            +16  partition  uint32      +28  synced end      int64
 *    end  crc uint32, CRC-32C of all before                            +36  log start       int64
 */
import { crc32c } from '@partita/batch';
import { invariant, isUuid, partitionKey } from '@partita/domain';
import type { TopicPartition } from '@partita/domain';
import { readFileIfExists } from './disk.ts';
import type { Disk } from './disk.ts';

const MAGIC = 0x4b434150;
const FORMAT_VERSION = 1;
const HEAD_BYTES = 12;
const ENTRY_BYTES = 44;
const CRC_BYTES = 4;
const TOPIC_ID_BYTES = 16;

/** One partition's line. */
export interface PartitionCheckpoint extends TopicPartition {
  readonly highWatermark: bigint;
  /** Everything below it was synced; with flush=os, written. */
  readonly syncedEnd: bigint;
  readonly logStart: bigint;
}

export function encodeCheckpoint(partitions: readonly PartitionCheckpoint[]): Buffer {
  const bytes = Buffer.alloc(HEAD_BYTES + partitions.length * ENTRY_BYTES + CRC_BYTES);
  bytes.writeUInt32LE(MAGIC, 0);
  bytes.writeUInt32LE(FORMAT_VERSION, 4);
  bytes.writeUInt32LE(partitions.length, 8);
  let at = HEAD_BYTES;
  for (const { topicId, partition, highWatermark, syncedEnd, logStart } of partitions) {
    invariant(isUuid(topicId), `topic id ${topicId} is a lower-case UUID`);
    bytes.write(topicId.replaceAll('-', ''), at, 'hex');
    bytes.writeUInt32LE(partition, at + 16);
    bytes.writeBigInt64LE(highWatermark, at + 20);
    bytes.writeBigInt64LE(syncedEnd, at + 28);
    bytes.writeBigInt64LE(logStart, at + 36);
    at += ENTRY_BYTES;
  }
  bytes.writeUInt32LE(crc32c(bytes.subarray(0, at)), at);
  return bytes;
}

/** The lines, or undefined when the bytes are damaged or of an unknown version. */
export function decodeCheckpoint(bytes: Buffer): PartitionCheckpoint[] | undefined {
  const end = bytes.length - CRC_BYTES;
  if (end < HEAD_BYTES || crc32c(bytes.subarray(0, end)) !== bytes.readUInt32LE(end)) return undefined;
  if (bytes.readUInt32LE(0) !== MAGIC || bytes.readUInt32LE(4) !== FORMAT_VERSION) return undefined;
  if (end !== HEAD_BYTES + bytes.readUInt32LE(8) * ENTRY_BYTES) return undefined;
  const partitions: PartitionCheckpoint[] = [];
  for (let at = HEAD_BYTES; at < end; at += ENTRY_BYTES) {
    const hex = bytes.toString('hex', at, at + TOPIC_ID_BYTES);
    partitions.push({
      topicId: hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'),
      partition: bytes.readUInt32LE(at + 16),
      highWatermark: bytes.readBigInt64LE(at + 20),
      syncedEnd: bytes.readBigInt64LE(at + 28),
      logStart: bytes.readBigInt64LE(at + 36),
    });
  }
  return partitions;
}

/** Replaces the checkpoint, durable on return. One call at a time. */
export async function writeCheckpoint(
  disk: Disk,
  dir: string,
  partitions: readonly PartitionCheckpoint[],
): Promise<void> {
  await disk.writeFileAtomically(`${dir}/checkpoint`, encodeCheckpoint(partitions));
}

/** The last checkpoint by `partitionKey`; empty when there is none, undefined when it is damaged. */
export async function readCheckpoint(disk: Disk, dir: string): Promise<Map<string, PartitionCheckpoint> | undefined> {
  const bytes = await readFileIfExists(disk, `${dir}/checkpoint`);
  const partitions = bytes === undefined ? [] : decodeCheckpoint(bytes);
  return partitions === undefined ? undefined : new Map(partitions.map((entry) => [partitionKey(entry), entry]));
}
