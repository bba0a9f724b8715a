/**
 * Drops a log and begins an empty one at another offset: what a follower does whose log ends below its leader's first
 * segment. The note of it (restart-note.ts) is durable before anything goes and holds all that the new log is made of,
 * so that a start completes the change from whatever a crash left:
 *
 *   1. `restart` with the snapshot;
 *   2. every file of the old log goes, and of an earlier try; the directory is synced;
 *   3. the snapshot, then an empty segment;
 *   4. `restart` without the snapshot.
 *
 * Before 1 a start finds the old log, from 1 on the new one, empty: nothing is appended before 4 is durable.
 */
import { isCompactionName } from './compaction/compacted-names.ts';
import { diskErrorCode, unlinkIfExists } from './disk.ts';
import { LogState } from './log-state.ts';
import { readRestartNote, writeRestartNote } from './restart-note.ts';
import type { RestartNote } from './restart-note.ts';
import { parseSegmentName, segmentPath } from './segment-files.ts';
import { Segment } from './segment.ts';
import type { SegmentHome } from './segment.ts';
import { encodeSnapshot } from './snapshot.ts';
import type { Snapshot } from './snapshot.ts';

/** The change did not begin: the old log is as it was. */
export class NotRestarted extends Error {
  override readonly name = 'NotRestarted';
}

/**
 * Puts an empty log with the state of the snapshot in place of the segments, whose list it changes. NotRestarted when the
 * disk was full before anything had changed; after any other error only a start can complete it.
 */
export async function restartLog(home: SegmentHome, segments: Segment[], snapshot: Snapshot): Promise<LogState> {
  const { disk, indexes, files } = home.device;
  const { baseOffset } = snapshot;
  try {
    await writeRestartNote(disk, home.directory, { baseOffset, snapshot: encodeSnapshot(snapshot) });
  } catch (error) {
    if (diskErrorCode(error) !== 'ENOSPC' || (await isBegun(home))) throw error;
    throw new NotRestarted('no space to note that a log begins again', { cause: error });
  }
  for (const segment of segments) indexes.drop(segment);
  await files.closeWithin(home.directory);
  segments.splice(0, segments.length, await completeRestart(home, { baseOffset, snapshot: encodeSnapshot(snapshot) }));
  return new LogState(snapshot);
}

/** Steps 2 to 4, from whatever a crash left of them. Returns the new log's only segment. */
export async function completeRestart(home: SegmentHome, note: RestartNote): Promise<Segment> {
  const { device, directory } = home;
  const { baseOffset, snapshot } = note;
  for (const name of await device.disk.list(directory)) {
    if (parseSegmentName(name) !== undefined || isCompactionName(name)) {
      await unlinkIfExists(device.disk, `${directory}/${name}`);
    }
  }
  await device.disk.syncDirectory(directory);
  // Nothing came before offset 0, so no file says what.
  if (baseOffset > 0n && snapshot !== undefined) {
    await device.disk.writeFileAtomically(segmentPath(directory, baseOffset, 'snapshot'), snapshot);
  }
  const segment = await Segment.create(home, baseOffset);
  await writeRestartNote(device.disk, directory, { baseOffset, snapshot: undefined });
  return segment;
}

async function isBegun({ device, directory }: SegmentHome): Promise<boolean> {
  try {
    return (await readRestartNote(device.disk, directory))?.snapshot !== undefined;
  } catch {
    return true;
  }
}
