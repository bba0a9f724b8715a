/**
 * The bytes of a journal file (see journal.ts). Little-endian. The file has a fixed size, zeros behind its last entry.
 *
 *      0  50 41 4A 4C ("PAJL")      8  generation  uint64, of the two files the higher one counts
 *      4  format_version uint32, 2  16  crc         uint32, CRC-32C of bytes 0-15
 *     20  zeros; all of bytes 0-63 are zeros while the file is not in use
 *     64  entries, each at a multiple of 8:
 *           +0  content length  uint32, > 0      +8  sequence  uint64, 1 for the first entry of the file
 *           +4  crc             uint32, CRC-32C of the content, seeded with that of generation, sequence and length
 *          +16  content: changes, each
 *                 kind uint8 (1 put, 2 delete), key length uint16, value length uint32 (0 for delete), key (UTF-8), value
 *
 * The first entry holds the whole state, each later one what one `put` or `delete` changed: all of it or nothing. An
 * empty state is the removal of the key that has no characters: a first entry that is not there is damage. Version 1 had
 * none for an empty state, so that damage to a state was taken for an empty one.
 */
import { crc32c } from '@partita/batch';
import { invariant } from '@partita/domain';

export const JOURNAL_HEADER_BYTES = 64;
/** Bytes of an entry around its content. */
export const ENTRY_HEAD_BYTES = 16;

const MAGIC = 0x4c4a4150;
const FORMAT_VERSION = 2;
const HEADER_CRC_AT = 16;
const ALIGNMENT = 8;
const CHANGE_HEAD_BYTES = 7;
const KEY_BYTES_MAX = 0xffff;
const PUT = 1;
const DELETE = 2;

/** New values by key; undefined deletes. */
export type Changes = ReadonlyMap<string, Uint8Array | undefined>;

/** What the header of a file in use says. */
interface UsedHeader {
  readonly generation: bigint;
  /** Version 1 may have no entry at all. */
  readonly version: number;
}

/** What a journal file's header says: in use, not in use, or nothing that can be trusted. */
export type JournalHeader = UsedHeader | 'unused' | 'damaged';

export function encodeJournalHeader(generation: bigint, version: number = FORMAT_VERSION): Buffer {
  const bytes = Buffer.alloc(JOURNAL_HEADER_BYTES);
  bytes.writeUInt32LE(MAGIC, 0);
  bytes.writeUInt32LE(version, 4);
  bytes.writeBigUInt64LE(generation, 8);
  bytes.writeUInt32LE(crc32c(bytes.subarray(0, HEADER_CRC_AT)), HEADER_CRC_AT);
  return bytes;
}

export function decodeJournalHeader(file: Buffer): JournalHeader {
  if (file.length < JOURNAL_HEADER_BYTES) return 'damaged';
  if (file.subarray(0, JOURNAL_HEADER_BYTES).every((byte) => byte === 0)) return 'unused';
  const generation = file.readBigUInt64LE(8);
  const version = file.readUInt32LE(4);
  if (version < 1 || version > FORMAT_VERSION) return 'damaged';
  const isIntact = encodeJournalHeader(generation, version).equals(file.subarray(0, JOURNAL_HEADER_BYTES));
  return isIntact ? { generation, version } : 'damaged';
}

/** The first entry of a file: the whole state. */
export function encodeState(state: ReadonlyMap<string, Uint8Array>, generation: bigint): Buffer {
  return encodeEntry(state.size > 0 ? state : new Map([['', undefined]]), generation, 1n);
}

/** Bytes that a change takes in an entry's content. */
export function changeBytes(key: string, value: Uint8Array | undefined): number {
  return CHANGE_HEAD_BYTES + Buffer.byteLength(key) + (value?.length ?? 0);
}

/** Bytes of the entry for a content of that length, padding included. */
export function entryBytes(contentBytes: number): number {
  return Math.ceil((ENTRY_HEAD_BYTES + contentBytes) / ALIGNMENT) * ALIGNMENT;
}

export function encodeEntry(changes: Changes, generation: bigint, sequence: bigint): Buffer {
  let contentBytes = 0;
  for (const [key, value] of changes) contentBytes += changeBytes(key, value);
  const bytes = Buffer.alloc(entryBytes(contentBytes));
  let at = ENTRY_HEAD_BYTES;
  for (const [key, value] of changes) {
    const keyBytes = Buffer.from(key);
    invariant(keyBytes.length <= KEY_BYTES_MAX, `a journal key has at most ${KEY_BYTES_MAX} bytes`);
    bytes.writeUInt8(value === undefined ? DELETE : PUT, at);
    bytes.writeUInt16LE(keyBytes.length, at + 1);
    bytes.writeUInt32LE(value?.length ?? 0, at + 3);
    bytes.set(keyBytes, at + CHANGE_HEAD_BYTES);
    bytes.set(value ?? Buffer.alloc(0), at + CHANGE_HEAD_BYTES + keyBytes.length);
    at += changeBytes(key, value);
  }
  bytes.writeUInt32LE(contentBytes, 0);
  bytes.writeBigUInt64LE(sequence, 8);
  const content = bytes.subarray(ENTRY_HEAD_BYTES, ENTRY_HEAD_BYTES + contentBytes);
  bytes.writeUInt32LE(crc32c(content, entrySeed(contentBytes, generation, sequence)), 4);
  return bytes;
}

/** The content of the intact entry with that sequence at `at`, or undefined. */
export function entryAt(file: Buffer, at: number, generation: bigint, sequence: bigint): Buffer | undefined {
  if (at + ENTRY_HEAD_BYTES > file.length || file.readBigUInt64LE(at + 8) !== sequence) return undefined;
  const contentBytes = file.readUInt32LE(at);
  const begin = at + ENTRY_HEAD_BYTES;
  if (contentBytes === 0 || begin + contentBytes > file.length) return undefined;
  const content = file.subarray(begin, begin + contentBytes);
  return crc32c(content, entrySeed(contentBytes, generation, sequence)) === file.readUInt32LE(at + 4)
    ? content
    : undefined;
}

/** True when an intact entry with a sequence above the given one begins at or behind `from`. */
export function hasEntryBehind(file: Buffer, from: number, generation: bigint, sequence: bigint): boolean {
  // An entry has at least 24 bytes, so the file cannot hold sequences beyond this one.
  const most = sequence + BigInt(Math.ceil(file.length / ALIGNMENT));
  for (let at = from; at + ENTRY_HEAD_BYTES <= file.length; at += ALIGNMENT) {
    // No entry is empty. The rest of the file is zeros, millions of them: no bigint is made for each.
    if (file.readUInt32LE(at) === 0) continue;
    const found = file.readBigUInt64LE(at + 8);
    if (found > sequence && found <= most && entryAt(file, at, generation, found) !== undefined) return true;
  }
  return false;
}

/** Applies the changes of an entry's content to a state; the values are copies. */
export function applyEntry(state: Map<string, Uint8Array>, content: Buffer): void {
  for (let at = 0; at < content.length;) {
    const keyEnd = at + CHANGE_HEAD_BYTES + content.readUInt16LE(at + 1);
    const valueEnd = keyEnd + content.readUInt32LE(at + 3);
    const key = content.toString('utf8', at + CHANGE_HEAD_BYTES, keyEnd);
    if (content.readUInt8(at) === PUT) state.set(key, Buffer.from(content.subarray(keyEnd, valueEnd)));
    else state.delete(key);
    at = valueEnd;
  }
}

function entrySeed(contentBytes: number, generation: bigint, sequence: bigint): number {
  const bytes = Buffer.alloc(20);
  bytes.writeUInt32LE(contentBytes, 0);
  bytes.writeBigUInt64LE(generation, 4);
  bytes.writeBigUInt64LE(sequence, 12);
  return crc32c(bytes);
}
