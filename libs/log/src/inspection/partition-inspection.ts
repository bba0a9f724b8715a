/** Checks all files of one partition and changes none; the rules are those of recovery (see FORMAT.md). */
import { headerSeed } from '@partita/batch';
import { compactionStatePath, decodeCompactionState } from '../compaction/compaction-state.ts';
import { diskErrorCode, readFileIfExists } from '../disk.ts';
import type { ReadingDisk } from '../disk.ts';
import type { EpochStart } from '../epoch-history.ts';
import { decodeRestartNote, RESTART_NAME } from '../restart-note.ts';
import { parseSegmentName, segmentPath } from '../segment-files.ts';
import { decodeSnapshot } from '../snapshot.ts';
import type { Snapshot } from '../snapshot.ts';
import { BatchCheck } from './batch-check.ts';
import type { Check, Report, Severity } from './finding.ts';
import { listSegments, readSegmentHeader } from './location.ts';
import { inspectSegment } from './segment-inspection.ts';
import type { PartitionExpectation, SegmentPlace } from './segment-inspection.ts';

/** What to check, and who is told. */
export interface PartitionInspection {
  readonly disk: ReadingDisk;
  /** The partition's own directory. */
  readonly directory: string;
  readonly expected: PartitionExpectation;
  /** Only the segment at this path; what others would have to say is not looked at. */
  readonly only?: string | undefined;
  readonly report: Report;
  /** Told how many more bytes have been read; what it throws ends the inspection. */
  readonly onBytes: (bytes: number) => void;
}

/** What was read. */
export interface PartitionTotals {
  readonly segments: number;
  readonly batches: number;
  readonly records: number;
  /** Of the `.log` files. */
  readonly bytes: number;
  readonly logStart: bigint;
  readonly logEnd: bigint;
}

/** Reports what is wrong with a partition's files, or one `ok`. */
export async function inspectPartition(inspection: PartitionInspection): Promise<PartitionTotals> {
  return new PartitionScan(inspection).run();
}

class PartitionScan {
  readonly #inspection: PartitionInspection;
  readonly #batches: BatchCheck;
  #damageCount = 0;
  #bytes = 0;
  /** True while a snapshot or the log's start in front of it can stand in for a missing snapshot. */
  #hasState = false;
  /** Compaction leaves offsets without a batch. */
  #isCompacted = false;

  constructor(inspection: PartitionInspection) {
    this.#inspection = inspection;
    this.#batches = new BatchCheck(0n);
  }

  async run(): Promise<PartitionTotals> {
    const { disk, directory, only } = this.#inspection;
    if ((await this.#isBeingSwapped()) || (await this.#isBeingRestarted()))
      return { segments: 0, batches: 0, records: 0, bytes: 0, logStart: 0n, logEnd: 0n };
    const all = (await listSegments(disk, directory)).map((segment) => segment.baseOffset);
    const bases = only === undefined ? all : [await this.#baseOf(only)];
    const logStart = bases[0] ?? 0n;
    this.#batches.nextOffset = logStart;
    this.#hasState = logStart === 0n;
    for (const base of bases) {
      await this.#segment(only ?? segmentPath(directory, base, 'log'), base, !all.some((other) => other > base));
    }
    if (only === undefined) {
      if (bases.length === 0) await this.#noSegment();
      else await this.#judgeEnd();
      await this.#leftovers(bases);
    }
    const { batchCount: batches, recordCount: records, nextOffset: logEnd } = this.#batches;
    if (this.#damageCount === 0 && bases.length > 0) {
      const what = `${bases.length} segments, ${batches} batches, ${records} records, offsets ${logStart} to ${logEnd}`;
      await this.#tell('ok', 'partition', only ?? directory, what);
    }
    return { segments: bases.length, batches, records, bytes: this.#bytes, logStart, logEnd };
  }

  /** Learns whether the log was compacted; true when its files are a mix of old and new, which a start sorts out. */
  async #isBeingSwapped(): Promise<boolean> {
    const { disk, directory } = this.#inspection;
    const path = compactionStatePath(directory);
    const bytes = await readFileIfExists(disk, path);
    if (bytes === undefined) return false;
    this.#isCompacted = true;
    const state = decodeCompactionState(bytes);
    if (state === undefined) await this.#tell('note', 'partition', path, 'it is damaged; the log is compacted anew');
    if (state === undefined || state.pending.length === 0) return false;
    const what = 'a compaction was being put in place; the next start completes it, check again after that';
    await this.#tell('note', 'partition', path, what);
    return true;
  }

  /** True when a follower's log is being begun anew: what is there of old and new does not count. */
  async #isBeingRestarted(): Promise<boolean> {
    const { disk, directory } = this.#inspection;
    const path = `${directory}/${RESTART_NAME}`;
    const bytes = await readFileIfExists(disk, path);
    if (bytes === undefined) return false;
    const note = decodeRestartNote(bytes);
    if (note === undefined)
      await this.#tell('damage', 'partition', path, 'it is damaged: the next start refuses the log');
    if (note?.snapshot === undefined) return false;
    const what = `the log was being begun anew at offset ${note.baseOffset}; the next start completes it`;
    await this.#tell('note', 'partition', path, what);
    return true;
  }

  async #segment(path: string, baseOffset: bigint, isLast: boolean): Promise<void> {
    const { disk, expected, only, onBytes } = this.#inspection;
    const before = { ...this.#holes };
    const fault = this.#batches.begin(baseOffset);
    if (fault !== undefined) await this.#tell('damage', fault.check, path, fault.message);
    if (!this.#isCompacted) await this.#tellHoles(path, before, 'and the segment before was never compacted');
    const atStart = this.#isCompacted ? before : { ...this.#holes };
    if (only === undefined && baseOffset > 0n) await this.#snapshot(baseOffset, isLast);
    const indexPath = path.endsWith('.log') ? path.replace(/\.log$/, '.idx') : `${path}.idx`;
    const place: SegmentPlace = { path, indexPath, baseOffset, isLast };
    const seed = headerSeed(expected.topicId, expected.partition);
    const report: Report = (finding) =>
      this.#tell(finding.severity, finding.check, finding.path, finding.message, finding.position);
    let isSparse = false;
    try {
      const found = await inspectSegment({ disk, seed, expected, report, onBytes }, place, this.#batches);
      this.#bytes += found.size;
      isSparse = found.isSparse;
    } catch (error) {
      const code = diskErrorCode(error);
      if (code === undefined) throw error;
      if (code === 'ENOENT') await this.#tell('note', 'partition', path, 'it was removed while it was looked for');
      else await this.#tell('damage', 'partition', path, `it cannot be read: ${code}`);
      this.#batches.isWhole = false;
    }
    if (this.#isCompacted) await this.#tellHoles(path, atStart, 'as after compaction', 'note');
    else if (isSparse) await this.#tellHoles(path, atStart, 'as in a copy of a compacted log', 'note');
    else await this.#tellHoles(path, atStart, 'and the log was never compacted');
  }

  /** Holes so far. */
  get #holes(): { readonly count: number; readonly missing: bigint } {
    return { count: this.#batches.holeCount, missing: this.#batches.missingCount };
  }

  /** Tells of the holes that were met since. */
  async #tellHoles(
    path: string,
    since: { readonly count: number; readonly missing: bigint },
    why: string,
    severity: Severity = 'damage',
  ): Promise<void> {
    const count = this.#holes.count - since.count;
    if (count === 0) return;
    const missing = this.#holes.missing - since.missing;
    const first = this.#batches.firstHole ?? 0n;
    this.#batches.firstHole = undefined;
    await this.#tell(
      severity,
      'offsets',
      path,
      `${missing} offsets in ${count} places have no batch, the first at ${first}, ${why}`,
    );
  }

  async #snapshot(baseOffset: bigint, isLast: boolean): Promise<void> {
    const { disk, directory } = this.#inspection;
    const path = segmentPath(directory, baseOffset, 'snapshot');
    const bytes = await readFileIfExists(disk, path);
    const snapshot = bytes === undefined ? undefined : decodeSnapshot(bytes);
    if (snapshot?.baseOffset !== baseOffset) {
      const what = bytes === undefined ? 'it is missing' : 'it is damaged';
      if (isLast && !this.#hasState) await this.#tell('damage', 'snapshot', path, `${what}, and so are all before it`);
      else await this.#tell('note', 'snapshot', path, `${what}; where it is needed it is made again from an older one`);
      return;
    }
    this.#hasState = true;
    const fault = this.#disagreement(snapshot);
    if (fault !== undefined) await this.#tell('damage', 'snapshot', path, fault);
  }

  /** Where the snapshot says something else than the headers before it; these are taken for whole logs only. */
  #disagreement(snapshot: Snapshot): string | undefined {
    const { isWhole, holeCount, epochs, lastAppendTimeMs } = this.#batches;
    if (!isWhole || holeCount > 0 || lastAppendTimeMs === undefined) return undefined;
    const first = epochs[0];
    // The first epoch may have begun before the log's present start.
    const known = snapshot.epochs.filter(({ startOffset }) => first !== undefined && startOffset > first.startOffset);
    const inForce = snapshot.epochs.findLast(
      ({ startOffset }) => first !== undefined && startOffset <= first.startOffset,
    );
    const told = [inForce?.epoch, ...known.map(epochText)].join(', ');
    const found = [first?.epoch, ...epochs.slice(1).map(epochText)].join(', ');
    if (told !== found) return `it says that the leader epochs are ${told}; the batches say ${found}`;
    if (snapshot.lastAppendTimeMs === lastAppendTimeMs) return undefined;
    return `it says that the last append was at ${snapshot.lastAppendTimeMs}, the batches ${lastAppendTimeMs}`;
  }

  async #judgeEnd(): Promise<void> {
    const { directory, expected } = this.#inspection;
    const { nextOffset } = this.#batches;
    if (nextOffset < expected.knownSynced) {
      const what = `the log ends at offset ${nextOffset}, but was durable up to ${expected.knownSynced}`;
      await this.#tell('damage', 'log-end', directory, what);
    } else if (expected.closedClean && nextOffset > expected.knownSynced) {
      const what = `the log ends at offset ${nextOffset}, the clean-shutdown marker says ${expected.knownSynced}`;
      await this.#tell('note', 'log-end', directory, what);
    }
  }

  async #noSegment(): Promise<void> {
    const { directory, expected } = this.#inspection;
    if (expected.knownSynced > 0n) {
      const what = `the files of offsets below ${expected.knownSynced} are gone`;
      await this.#tell('damage', 'log-end', directory, what);
    } else await this.#tell('note', 'partition', directory, 'it has no segment yet; the next start makes the first');
  }

  async #leftovers(bases: readonly bigint[]): Promise<void> {
    for (const name of await this.#inspection.disk.list(this.#inspection.directory)) {
      const file = parseSegmentName(name);
      if (file !== undefined && bases.includes(file.baseOffset)) continue;
      // A clean stop may write the state at the end of the log.
      if (file?.kind === 'snapshot' && file.baseOffset === this.#batches.nextOffset) {
        await this.#snapshot(file.baseOffset, false);
        continue;
      }
      if (name === 'compaction' || name === RESTART_NAME) continue;
      let what = 'it is no file of Partita and is left alone';
      if (file !== undefined) what = 'it belongs to a segment that is gone; the next start removes it';
      else if (/\.(new|compacted)$/.test(name)) what = 'it is left over from a file that was being made';
      await this.#tell('note', 'leftover', `${this.#inspection.directory}/${name}`, what);
    }
  }

  async #baseOf(path: string): Promise<bigint> {
    const named = parseSegmentName(baseName(path))?.baseOffset;
    return named ?? (await readSegmentHeader(this.#inspection.disk, path))?.baseOffset ?? 0n;
  }

  async #tell(severity: Severity, check: Check, path: string, message: string, position?: number): Promise<void> {
    if (severity === 'damage') this.#damageCount += 1;
    await this.#inspection.report({ severity, check, path, position, message });
  }
}

function epochText({ epoch, startOffset }: Pick<EpochStart, 'epoch' | 'startOffset'>): string {
  return `${epoch} from ${startOffset}`;
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
