/**
 * Puts compacted segments in place of those that they were made from. Names on disk change one by one and, until the
 * directory is synced, survive a power cut in any combination. So the intent is written first, and every step can be done
 * again from whatever is there:
 *
 *   1. the file `compaction` lists the groups (durable; the new files are so since before);
 *   2. of all groups: the `.log`, `.idx` and `.snapshot` of the sources but the first go, and the first one's `.idx`;
 *      the directory is synced;
 *   3. of all groups: `.log.compacted` and `.idx.compacted` take the names of the first source; synced;
 *   4. the file `compaction` lists no groups any more.
 *
 * Before 1 a start finds `.compacted` files without an intent and removes them: all old. From 1 on it completes: all new.
 * What step 2 removes is contained in a `.log.compacted`, which keeps its name until that removal is durable. Hence a
 * `.compacted` file exists whenever files of the log are not yet what they will be, and without one a damaged `compaction`
 * file has nothing to say about them. With one it might: the log is refused then, nothing is touched.
 *
 * The first source's `.snapshot` stays: it is the state before the group. Its `.idx` is the old one exactly while
 * `.idx.compacted` is still there.
 */
import { invariant, PartitaError } from '@partita/domain';
import { readFileIfExists, unlinkIfExists } from '../disk.ts';
import type { Disk } from '../disk.ts';
import { segmentPath } from '../segment-files.ts';
import { compactedPath, isCompactedName } from './compacted-names.ts';
import {
  compactionStatePath,
  cutState,
  decodeCompactionState,
  encodeCompactionState,
  NEVER_COMPACTED,
} from './compaction-state.ts';
import type { CompactionState, PendingGroup } from './compaction-state.ts';

/**
 * Swaps in the pending groups of the state and leaves the state without them; durable on return. Nobody may read or write
 * the files of the groups meanwhile. After a throw the log must not be used before `finishCompaction`.
 */
export async function swapIn(disk: Disk, directory: string, state: CompactionState): Promise<CompactionState> {
  const done: CompactionState = { ...state, pending: [] };
  if (state.pending.length > 0) {
    const names = await disk.list(directory);
    for (const [base = 0n] of state.pending) {
      const made = compactedPath(directory, base, 'log');
      invariant(names.includes(made.slice(directory.length + 1)), `${made} exists before what it replaces is removed`);
    }
    await writeState(disk, directory, state);
    await completeSwap(disk, directory, state.pending);
  }
  await writeState(disk, directory, done);
  return done;
}

/**
 * At a start, before the directory is listed: completes a swap that was under way, or removes what a compaction left that
 * did not come to one. Returns the state, undefined when the log was never compacted: then its offsets have no holes.
 * CORRUPT_BATCH when neither can be known, or a new segment is gone.
 */
export async function finishCompaction(disk: Disk, directory: string): Promise<CompactionState | undefined> {
  const path = compactionStatePath(directory);
  const bytes = await readFileIfExists(disk, path);
  const stored = bytes === undefined ? NEVER_COMPACTED : decodeCompactionState(bytes);
  if (stored === undefined) {
    const left = (await disk.list(directory)).find(isCompactedName);
    if (left !== undefined) throw lost(path, `it is damaged while ${left} exists`);
    // Left as it is, it would speak about the files of the next pass. Without it nobody would expect holes.
    await writeState(disk, directory, NEVER_COMPACTED);
    return NEVER_COMPACTED;
  }
  if (stored.pending.length > 0) await completeSwap(disk, directory, stored.pending);
  const state: CompactionState = { ...stored, pending: [] };
  if (stored.pending.length > 0) await writeState(disk, directory, state);
  await removeCompacted(disk, directory);
  return bytes === undefined ? undefined : state;
}

/**
 * Notes that the log ends at the offset, durable on return, when the state knows of more: it was cut, or lost its end.
 * After the cut, not before: until then the holes that the state tells of are there.
 */
export async function lowerCleaned(
  disk: Disk,
  directory: string,
  state: CompactionState,
  end: bigint,
): Promise<CompactionState> {
  const next = cutState(state, end);
  if (next !== state) await writeState(disk, directory, next);
  return next;
}

/** Forgets what is known about a log that begins anew (its files were removed): nothing of it is clean. */
export async function forgetCompaction(disk: Disk, directory: string): Promise<void> {
  await unlinkIfExists(disk, compactionStatePath(directory));
  await disk.syncDirectory(directory);
}

/** Steps 2 and 3, from whatever a crash left of them. */
async function completeSwap(disk: Disk, directory: string, groups: readonly PendingGroup[]): Promise<void> {
  const names = new Set((await disk.list(directory)).map((name) => `${directory}/${name}`));
  for (const sources of groups) {
    const [base = 0n, ...others] = sources;
    const log = segmentPath(directory, base, 'log');
    if (!names.has(compactedPath(directory, base, 'log')) && !names.has(log)) throw lost(log, 'it is gone');
    if (names.has(compactedPath(directory, base, 'idx'))) {
      await unlinkIfExists(disk, segmentPath(directory, base, 'idx'));
    }
    for (const other of others) {
      for (const kind of ['log', 'idx', 'snapshot'] as const) {
        await unlinkIfExists(disk, segmentPath(directory, other, kind));
      }
    }
  }
  await disk.syncDirectory(directory);
  for (const [base = 0n] of groups) {
    for (const kind of ['log', 'idx'] as const) {
      const made = compactedPath(directory, base, kind);
      if (names.has(made)) await disk.rename(made, segmentPath(directory, base, kind));
    }
  }
  await disk.syncDirectory(directory);
}

/** Removes what a compaction made and nobody will put in place. */
export async function removeCompacted(disk: Disk, directory: string): Promise<void> {
  const left = (await disk.list(directory)).filter(isCompactedName);
  for (const name of left) await unlinkIfExists(disk, `${directory}/${name}`);
  if (left.length > 0) await disk.syncDirectory(directory);
}

async function writeState(disk: Disk, directory: string, state: CompactionState): Promise<void> {
  await disk.writeFileAtomically(compactionStatePath(directory), encodeCompactionState(state));
}

function lost(file: string, why: string): PartitaError {
  return new PartitaError(
    'CORRUPT_BATCH',
    `${file}: ${why}, so that nobody can tell which files are the log; restore this replica from a peer or a backup`,
    { file },
  );
}
