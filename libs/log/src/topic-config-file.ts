/**
 * The file `topic.config` in a topic's directory: name, version, key ranges and settings of the topic, as the broker's
 * own serialised message, which is opaque here. Written atomically. Little-endian:
 *
 *      0  50 41 54 43 ("PATC")       8  content length  uint32
 *      4  format_version uint32, 1  12  content: a serialised partita.peer.v1.TopicConfig
 *    end  crc uint32, CRC-32C of all before it
 *
 * It is checked because a flipped bit in a retention setting would delete records.
 */
import { crc32c } from '@partita/batch';
import { PartitaError } from '@partita/domain';
import { readFileIfExists } from './disk.ts';
import type { Disk } from './disk.ts';

const MAGIC = 0x43544150;
const FORMAT_VERSION = 1;
const HEAD_BYTES = 12;
const CRC_BYTES = 4;

export function encodeTopicConfigFile(content: Uint8Array): Buffer {
  const bytes = Buffer.alloc(HEAD_BYTES + content.length + CRC_BYTES);
  bytes.writeUInt32LE(MAGIC, 0);
  bytes.writeUInt32LE(FORMAT_VERSION, 4);
  bytes.writeUInt32LE(content.length, 8);
  bytes.set(content, HEAD_BYTES);
  bytes.writeUInt32LE(crc32c(bytes.subarray(0, -CRC_BYTES)), bytes.length - CRC_BYTES);
  return bytes;
}

/** The content, or why there is none. */
export function decodeTopicConfigFile(bytes: Buffer): Buffer | 'damaged' | 'newer' {
  const end = bytes.length - CRC_BYTES;
  if (end < HEAD_BYTES || crc32c(bytes.subarray(0, end)) !== bytes.readUInt32LE(end)) return 'damaged';
  if (bytes.readUInt32LE(0) !== MAGIC || bytes.readUInt32LE(8) !== end - HEAD_BYTES) return 'damaged';
  return bytes.readUInt32LE(4) > FORMAT_VERSION ? 'newer' : bytes.subarray(HEAD_BYTES, end);
}

/** Replaces the config in a topic's directory, durable on return. */
export async function writeTopicConfigFile(disk: Disk, topicDir: string, content: Uint8Array): Promise<void> {
  await disk.writeFileAtomically(`${topicDir}/topic.config`, encodeTopicConfigFile(content));
}

/** The content in a topic's directory; undefined when there is none. CORRUPT_BATCH when damaged, VERSION_NOT_SUPPORTED. */
export async function readTopicConfigFile(disk: Disk, topicDir: string): Promise<Buffer | undefined> {
  const path = `${topicDir}/topic.config`;
  const bytes = await readFileIfExists(disk, path);
  const content = bytes === undefined ? undefined : decodeTopicConfigFile(bytes);
  if (content === 'damaged') {
    throw new PartitaError('CORRUPT_BATCH', `${path} is damaged; restore it from another broker of the topic`, {
      file: path,
    });
  }
  if (content === 'newer') {
    throw new PartitaError('VERSION_NOT_SUPPORTED', `${path} is of a newer format; run the release that wrote it`, {
      supported: String(FORMAT_VERSION),
    });
  }
  return content;
}
