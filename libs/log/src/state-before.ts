/** The state of a partition at the start of a segment: from its snapshot, or made again from an older one. */
import { invariant } from '@partita/domain';
import { readFileIfExists } from './disk.ts';
import { LogState } from './log-state.ts';
import { corruptBatch, scanStart } from './segment.ts';
import type { Segment, SegmentHome } from './segment.ts';
import { scanBatches } from './batch-scan.ts';
import type { ScanEnd } from './batch-scan.ts';
import { segmentPath } from './segment-files.ts';
import { decodeSnapshot, EMPTY_SNAPSHOT, encodeSnapshot } from './snapshot.ts';
import type { Snapshot } from './snapshot.ts';

/**
 * The state before the last of the segments. A snapshot that is missing or damaged is made again, from the newest older
 * one and the headers behind that. CORRUPT_BATCH when there is none and the log does not begin at offset 0: what the
 * deleted segments held of it is lost.
 */
export async function stateBefore(home: SegmentHome, segments: readonly Segment[]): Promise<LogState> {
  const lastNumber = segments.length - 1;
  const last = segments[lastNumber];
  invariant(last !== undefined, 'a log has a segment');
  let number = lastNumber;
  let snapshot = await readSnapshot(home, last.baseOffset);
  while (snapshot === undefined && number > 0) {
    number -= 1;
    const older = segments[number];
    snapshot = older === undefined ? undefined : await readSnapshot(home, older.baseOffset);
  }
  if (snapshot === undefined) {
    const path = segmentPath(home.directory, last.baseOffset, 'snapshot');
    throw corruptBatch(home, path, 0, 'it is missing or damaged, and so are all before it');
  }
  const state = new LogState(snapshot);
  if (number === lastNumber) return state;
  for (const segment of segments.slice(number, lastNumber)) await foldSealed(segment, state);
  await writeSnapshot(home, state.snapshot(last.baseOffset));
  return state;
}

/** The state in front of a log's first segment, as a replica that begins there needs it. */
export interface FirstSnapshot {
  readonly baseOffset: bigint;
  /** Serialised (snapshot.ts). */
  readonly content: Buffer;
}

/** The state before the first of the segments; CORRUPT_BATCH when its snapshot is damaged or gone: nothing else has it. */
export async function firstSnapshotOf(home: SegmentHome, segments: readonly Segment[]): Promise<FirstSnapshot> {
  const { baseOffset = 0n } = segments[0] ?? {};
  const snapshot = await readSnapshot(home, baseOffset);
  if (snapshot !== undefined) return { baseOffset, content: encodeSnapshot(snapshot) };
  const path = segmentPath(home.directory, baseOffset, 'snapshot');
  throw corruptBatch(home, path, 0, 'it is missing or damaged, and so are all before it');
}

/** Folds the batches of a segment up to `end` (bytes) into the state, by their headers; says where it stopped. */
export async function foldSegment(segment: Segment, state: LogState, end: number): Promise<ScanEnd> {
  return segment.use(async (file) => {
    await segment.verifyHeader(file);
    return scanBatches({ file, seed: segment.home.seed, ...scanStart(segment, undefined), end }, (bytes, at) => {
      state.note(bytes, at);
      return true;
    });
  });
}

async function foldSealed(segment: Segment, state: LogState): Promise<void> {
  const size = await segment.use((file) => file.size());
  const stop = await foldSegment(segment, state, size);
  if (stop.fault !== undefined) throw corruptBatch(segment.home, segment.path, stop, stop.fault.why);
  if (stop.nextOffset === segment.endOffset || segment.mayEndEarly) return;
  throw corruptBatch(
    segment.home,
    segment.path,
    size,
    `it ends at offset ${stop.nextOffset}, not ${segment.endOffset}`,
  );
}

/**
 * The intact snapshot in front of an offset, or undefined. One bad reading is not believed: what is made again in its place
 * may say less, once the segments before it were compacted.
 */
export async function readSnapshot(home: SegmentHome, baseOffset: bigint): Promise<Snapshot | undefined> {
  if (baseOffset === 0n) return EMPTY_SNAPSHOT;
  const path = segmentPath(home.directory, baseOffset, 'snapshot');
  for (let reading = 0; reading < 2; reading += 1) {
    const bytes = await readFileIfExists(home.device.disk, path);
    if (bytes === undefined) break;
    const snapshot = decodeSnapshot(bytes);
    if (snapshot?.baseOffset === baseOffset) return snapshot;
  }
  return undefined;
}

/** Puts a snapshot in place, durable on return. */
export async function writeSnapshot(home: SegmentHome, snapshot: Snapshot): Promise<void> {
  const path = segmentPath(home.directory, snapshot.baseOffset, 'snapshot');
  await home.device.disk.writeFileAtomically(path, encodeSnapshot(snapshot));
}
