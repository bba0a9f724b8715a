/**
 * The file `restart` of a partition: a follower dropped its log on purpose and began again at an offset, with the state
 * that its leader had there. Replaced as a whole, so that after a crash it is the old one or the new. Little-endian:
 *
 *      0  50 41 52 53 ("PARS")             16  snapshot length uint32: 0 = the change is complete
 *      4  format_version uint32, 1         20  the snapshot in front of base_offset (snapshot.ts)
 *      8  base_offset    int64            end  crc uint32, CRC-32C of all before it
 *
 * While it holds a snapshot the other files are a mix of old and new, and nothing of either counts: a start begins again
 * from it. Complete, it stays: it says that what lies below was dropped, so that nobody takes it for lost.
 */
import { crc32c } from '@partita/batch';
import { PartitaError } from '@partita/domain';
import { readFileIfExists } from './disk.ts';
import type { Disk } from './disk.ts';

const MAGIC = 0x53524150;
const FORMAT_VERSION = 1;
const HEAD_BYTES = 20;
const CRC_BYTES = 4;

/** Name of the file. */
export const RESTART_NAME = 'restart';

export interface RestartNote {
  /** Where the log began again. */
  readonly baseOffset: bigint;
  /** The serialised state before it while the change is under way; undefined once it is complete. */
  readonly snapshot: Buffer | undefined;
}

export function encodeRestartNote({ baseOffset, snapshot = Buffer.alloc(0) }: RestartNote): Buffer {
  const bytes = Buffer.alloc(HEAD_BYTES + snapshot.length + CRC_BYTES);
  bytes.writeUInt32LE(MAGIC, 0);
  bytes.writeUInt32LE(FORMAT_VERSION, 4);
  bytes.writeBigInt64LE(baseOffset, 8);
  bytes.writeUInt32LE(snapshot.length, 16);
  snapshot.copy(bytes, HEAD_BYTES);
  bytes.writeUInt32LE(crc32c(bytes.subarray(0, -CRC_BYTES)), bytes.length - CRC_BYTES);
  return bytes;
}

/** The note, or undefined when the bytes are damaged; VERSION_NOT_SUPPORTED when a newer release wrote them. */
export function decodeRestartNote(bytes: Buffer): RestartNote | undefined {
  const end = bytes.length - CRC_BYTES;
  if (end < HEAD_BYTES || crc32c(bytes.subarray(0, end)) !== bytes.readUInt32LE(end)) return undefined;
  if (bytes.readUInt32LE(0) !== MAGIC) return undefined;
  const version = bytes.readUInt32LE(4);
  if (version !== FORMAT_VERSION) {
    throw new PartitaError(
      'VERSION_NOT_SUPPORTED',
      `a restart file has format version ${version}, this broker reads ${FORMAT_VERSION}; run the release that wrote it`,
      { found: String(version), supported: String(FORMAT_VERSION) },
    );
  }
  if (end !== HEAD_BYTES + bytes.readUInt32LE(16)) return undefined;
  return {
    baseOffset: bytes.readBigInt64LE(8),
    snapshot: end === HEAD_BYTES ? undefined : bytes.subarray(HEAD_BYTES, end),
  };
}

/** The note of a partition, undefined when there is none; CORRUPT_BATCH when it is damaged in two readings. */
export async function readRestartNote(disk: Disk, directory: string): Promise<RestartNote | undefined> {
  const path = `${directory}/${RESTART_NAME}`;
  for (let reading = 0; reading < 2; reading += 1) {
    const bytes = await readFileIfExists(disk, path);
    if (bytes === undefined) return undefined;
    const note = decodeRestartNote(bytes);
    if (note !== undefined) return note;
  }
  throw new PartitaError(
    'CORRUPT_BATCH',
    `${path} is damaged, so that nobody can tell whether the log was dropped; restore this replica from a peer or a backup`,
    { file: path },
  );
}

/** Replaces the note, durable on return. */
export async function writeRestartNote(disk: Disk, directory: string, note: RestartNote): Promise<void> {
  await disk.writeFileAtomically(`${directory}/${RESTART_NAME}`, encodeRestartNote(note));
}
