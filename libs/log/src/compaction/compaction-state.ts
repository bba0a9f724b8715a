/**
 * The file `compaction` of a partition: how far the log is clean, when it became so, and the new segments that are being
 * put in place of old ones. Replaced as a whole, so that after a crash it is the old one or the new. Little-endian:
 *
 *      0  50 41 43 4D ("PACM")             20  group count  uint32
 *      4  format_version uint32, 1         24  passes, each: int64 cleaned_to, int64 at_ms (UTC); oldest first
 *      8  cleaned_to     int64              -  groups, each: uint32 source count, then as many int64 base offsets;
 *     16  pass count     uint32                oldest first, the first one is that of the new segment
 *    end  crc uint32, CRC-32C of all before it
 *
 * Without the file nothing is clean and nothing is being swapped in. While groups are listed, the files of the log are
 * a mix of old and new, which `finishCompaction` completes.
 */
import { crc32c } from '@partita/batch';
import { COMPACTION_PASS_COUNT_MAX, invariant, PartitaError } from '@partita/domain';
import { readFileIfExists } from '../disk.ts';
import type { Disk } from '../disk.ts';

const MAGIC = 0x4d434150;
const FORMAT_VERSION = 1;
const HEAD_BYTES = 24;
const PASS_BYTES = 16;
const CRC_BYTES = 4;

/** A pass that is in place. */
export interface CompactionPassNote {
  /** Below it the log was clean from then on. */
  readonly cleanedTo: bigint;
  /** Milliseconds UTC. */
  readonly atMs: bigint;
}

/** Base offsets of segments that become one: the first is also that of the new one. At least one. */
export type PendingGroup = readonly bigint[];

export interface CompactionState {
  /** Below it each key has one record. */
  readonly cleanedTo: bigint;
  /** Oldest first, both numbers rising; at most COMPACTION_PASS_COUNT_MAX. */
  readonly passes: readonly CompactionPassNote[];
  /** Being swapped in; empty when none is. */
  readonly pending: readonly PendingGroup[];
}

/** The state of a log that was never compacted. */
export const NEVER_COMPACTED: CompactionState = Object.freeze({ cleanedTo: 0n, passes: [], pending: [] });

/** Path of the file. */
export function compactionStatePath(directory: string): string {
  return `${directory}/compaction`;
}

export function encodeCompactionState({ cleanedTo, passes, pending }: CompactionState): Buffer {
  invariant(passes.length <= COMPACTION_PASS_COUNT_MAX, `at most ${COMPACTION_PASS_COUNT_MAX} passes are remembered`);
  invariant(
    pending.every((sources) => sources.length > 0),
    'a group has a source',
  );
  const groupsBytes = pending.reduce((sum, sources) => sum + 4 + 8 * sources.length, 0);
  const bytes = Buffer.alloc(HEAD_BYTES + passes.length * PASS_BYTES + groupsBytes + CRC_BYTES);
  bytes.writeUInt32LE(MAGIC, 0);
  bytes.writeUInt32LE(FORMAT_VERSION, 4);
  bytes.writeBigInt64LE(cleanedTo, 8);
  bytes.writeUInt32LE(passes.length, 16);
  bytes.writeUInt32LE(pending.length, 20);
  let at = HEAD_BYTES;
  for (const pass of passes) {
    bytes.writeBigInt64LE(pass.cleanedTo, at);
    bytes.writeBigInt64LE(pass.atMs, at + 8);
    at += PASS_BYTES;
  }
  for (const sources of pending) {
    at = bytes.writeUInt32LE(sources.length, at);
    for (const source of sources) at = bytes.writeBigInt64LE(source, at);
  }
  bytes.writeUInt32LE(crc32c(bytes.subarray(0, at)), at);
  return bytes;
}

/** The state, or undefined when the bytes are damaged; VERSION_NOT_SUPPORTED when a newer release wrote them. */
export function decodeCompactionState(bytes: Buffer): CompactionState | undefined {
  const end = bytes.length - CRC_BYTES;
  if (end < HEAD_BYTES || crc32c(bytes.subarray(0, end)) !== bytes.readUInt32LE(end)) return undefined;
  if (bytes.readUInt32LE(0) !== MAGIC) return undefined;
  const version = bytes.readUInt32LE(4);
  if (version !== FORMAT_VERSION) {
    throw new PartitaError(
      'VERSION_NOT_SUPPORTED',
      `a compaction file has format version ${version}, this broker reads ${FORMAT_VERSION}; run the release that wrote it`,
      { found: String(version), supported: String(FORMAT_VERSION) },
    );
  }
  let at = HEAD_BYTES;
  const passes = Array.from({ length: bytes.readUInt32LE(16) }, () => {
    const pass = { cleanedTo: bytes.readBigInt64LE(at), atMs: bytes.readBigInt64LE(at + 8) };
    at += PASS_BYTES;
    return pass;
  });
  const pending = Array.from({ length: bytes.readUInt32LE(20) }, () => {
    const count = bytes.readUInt32LE(at);
    const sources = Array.from({ length: count }, (_, index) => bytes.readBigInt64LE(at + 4 + 8 * index));
    at += 4 + 8 * count;
    return sources;
  });
  return { cleanedTo: bytes.readBigInt64LE(8), passes, pending };
}

/** The state of a partition; STORAGE_FAILED when its file is damaged, which `finishCompaction` sorts out at the start. */
export async function readCompactionState(disk: Disk, directory: string): Promise<CompactionState> {
  const path = compactionStatePath(directory);
  const bytes = await readFileIfExists(disk, path);
  const state = bytes === undefined ? NEVER_COMPACTED : decodeCompactionState(bytes);
  if (state !== undefined) return state;
  throw new PartitaError('STORAGE_FAILED', `${path} is damaged; restart the broker to have it made again`, {
    file: path,
  });
}

/**
 * Notes that the log is clean up to `cleanedTo` from now on. Passes that no longer matter for a tombstone delay are
 * forgotten; where too many do, one goes where they are densest, and the next one stands for it: a tombstone may stay longer
 * than its delay but never goes earlier.
 */
export function withPass(
  state: CompactionState,
  cleanedTo: bigint,
  nowMs: bigint,
  tombstoneDelayMs: bigint,
): CompactionState {
  invariant(cleanedTo >= state.cleanedTo, `a log that is clean to ${state.cleanedTo} stays so, not to ${cleanedTo}`);
  const last = state.passes.at(-1);
  if (last?.cleanedTo === cleanedTo) return state;
  // A wall clock that was set back must not make the pass look older than the one before it.
  const atMs = last !== undefined && last.atMs > nowMs ? last.atMs : nowMs;
  const ripe = state.passes.findLastIndex((pass) => pass.atMs <= nowMs - tombstoneDelayMs);
  const passes = [...state.passes.slice(Math.max(0, ripe)), { cleanedTo, atMs }];
  while (passes.length > COMPACTION_PASS_COUNT_MAX) passes.splice(densest(passes), 1);
  return { ...state, cleanedTo, passes };
}

/** What is left of the state when the log ends at the offset: what will be appended from there on is not clean. */
export function cutState(state: CompactionState, end: bigint): CompactionState {
  if (state.cleanedTo <= end) return state;
  const kept = state.passes.filter(({ cleanedTo }) => cleanedTo <= end);
  // The first pass beyond the end made all below it clean too.
  const first = state.passes[kept.length];
  const isNews = first !== undefined && kept.at(-1)?.cleanedTo !== end && end > 0n;
  return { ...state, cleanedTo: end, passes: isNews ? [...kept, { cleanedTo: end, atMs: first.atMs }] : kept };
}

/** Number of the pass between whose neighbours the least time lies: without it the others still lie evenly. */
function densest(passes: readonly CompactionPassNote[]): number {
  let found = 1;
  let least: bigint | undefined;
  for (let index = 1; index + 1 < passes.length; index += 1) {
    const gap = (passes[index + 1] as CompactionPassNote).atMs - (passes[index - 1] as CompactionPassNote).atMs;
    if (least !== undefined && gap >= least) continue;
    found = index;
    least = gap;
  }
  return found;
}

/** Offset below which tombstones have stayed for the delay after the pass that left them the last of their key. */
export function tombstonesEndBelow(state: CompactionState, nowMs: bigint, tombstoneDelayMs: bigint): bigint {
  return state.passes.findLast((pass) => pass.atMs <= nowMs - tombstoneDelayMs)?.cleanedTo ?? 0n;
}
