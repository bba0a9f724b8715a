/** Checks one segment of a partition: header, every batch, index. */
import { baseOffsetAt, batchBytesAt } from '@partita/batch';
import { PartitaError } from '@partita/domain';
import { readFileIfExists } from '../disk.ts';
import type { ReadingDisk, DiskFile } from '../disk.ts';
import { decodeSegmentHeader, SEGMENT_HEADER_BYTES } from '../segment-header.ts';
import type { SegmentHeader } from '../segment-header.ts';
import type { BatchCheck, BatchFault } from './batch-check.ts';
import { walkBatches } from './batch-walk.ts';
import type { WalkedBatch } from './batch-walk.ts';
import { FINDING_COUNT_MAX } from './finding.ts';
import type { Check, Finding, Report, Severity } from './finding.ts';
import { IndexCheck } from './index-check.ts';
import { isTornTail } from './tail-judgement.ts';

/** What is known of a partition before its files are read. */
export interface PartitionExpectation {
  readonly topicId: string;
  readonly partition: number;
  /** Undefined = any. */
  readonly clusterId?: string | undefined;
  /** Offset below which everything was synced, as checkpoint or clean-shutdown marker say; 0 = unknown. */
  readonly knownSynced: bigint;
  /** The clean-shutdown marker names this log. */
  readonly closedClean: boolean;
  readonly flush: 'fsync' | 'os';
  /** True = records are unpacked and decoded too. */
  readonly deep: boolean;
}

/** One segment of it. */
export interface SegmentPlace {
  readonly path: string;
  readonly indexPath: string;
  readonly baseOffset: bigint;
  /** Nothing comes behind it, as far as the inspection sees. */
  readonly isLast: boolean;
}

interface PlacedFault extends BatchFault {
  readonly position: number;
}

/** What the inspection of segments needs. */
export interface SegmentInspection {
  readonly disk: ReadingDisk;
  readonly seed: number;
  readonly expected: PartitionExpectation;
  readonly report: Report;
  /** Told after each batch how many more bytes have been read; throws to stop. */
  readonly onBytes: (bytes: number) => void;
}

/** Checks a segment and carries `batches` on to its end; answers its size in bytes and whether it may have holes. */
export async function inspectSegment(
  inspection: SegmentInspection,
  place: SegmentPlace,
  batches: BatchCheck,
): Promise<{ size: number; isSparse: boolean }> {
  const { disk, seed } = inspection;
  const index = new IndexCheck(place.indexPath, await readFileIfExists(disk, place.indexPath), seed);
  const file = await disk.open(place.path, 'read');
  try {
    const size = await file.size();
    const header = await readHeader(file);
    const finding = headerFinding(header, size, place, inspection.expected, index.last === undefined);
    if (finding !== undefined) await inspection.report(finding);
    if (size > SEGMENT_HEADER_BYTES || finding === undefined) {
      const scan = new SegmentScan(inspection, place, batches, index);
      await scan.run(file, size, finding !== undefined);
    }
    return { size, isSparse: header !== undefined && 'isSparse' in header && header.isSparse };
  } finally {
    await file.close();
  }
}

/** The batches of one segment. */
class SegmentScan {
  readonly #inspection: SegmentInspection;
  readonly #place: SegmentPlace;
  readonly #batches: BatchCheck;
  readonly #index: IndexCheck;
  readonly #faults: PlacedFault[] = [];
  #faultCount = 0;
  /** Offset that was due where the first fault is. */
  #offsetAtFault = 0n;
  /** Where the last intact header behind the first fault is. */
  #lastBehind: number | undefined;

  constructor(inspection: SegmentInspection, place: SegmentPlace, batches: BatchCheck, index: IndexCheck) {
    this.#inspection = inspection;
    this.#place = place;
    this.#batches = batches;
    this.#index = index;
  }

  /** `isRefused` = recovery does not get as far as the batches. */
  async run(file: DiskFile, size: number, isRefused: boolean): Promise<void> {
    const { seed, onBytes, expected } = this.#inspection;
    for await (const step of walkBatches({ file, seed, position: SEGMENT_HEADER_BYTES, end: size })) {
      if (step.kind === 'batch') this.#batch(step);
      else {
        this.#index.gap(step.position, step.end);
        this.#fault(step.position, { check: 'batch', message: `${step.fault} (${step.end - step.position} bytes)` });
        this.#batches.isWhole = false;
      }
      onBytes(step.kind === 'batch' ? batchBytesAt(step.bytes, step.at) : step.end - step.position);
    }
    await this.#tellFaults(size, isRefused);
    const isComplete = !this.#place.isLast || (expected.closedClean && expected.flush === 'fsync');
    for (const finding of this.#index.finish(size, isComplete)) await this.#inspection.report(finding);
  }

  #batch(step: WalkedBatch): void {
    const { bytes, at, position } = step;
    if (this.#faultCount > 0 && baseOffsetAt(bytes, at) >= this.#offsetAtFault) this.#lastBehind = position;
    this.#index.batch(bytes, at, position);
    const due = this.#batches.nextOffset;
    const isGood = step.fault === undefined;
    // What the file ends within is no batch of the log.
    const order = step.isWhole ? this.#batches.batch(bytes, at, isGood && this.#inspection.expected.deep) : undefined;
    const fault: BatchFault | undefined = isGood ? order : { check: 'batch', message: step.fault };
    if (fault === undefined) return;
    this.#batches.isWhole = false;
    const name = `offset ${baseOffsetAt(bytes, at)}`;
    this.#fault(position, { ...fault, message: `the batch at ${name}: ${fault.message}` }, due);
  }

  #fault(position: number, fault: BatchFault, due = this.#batches.nextOffset): void {
    this.#faultCount += 1;
    if (this.#faultCount === 1) this.#offsetAtFault = due;
    if (this.#faults.length < FINDING_COUNT_MAX) this.#faults.push({ ...fault, position });
  }

  async #tellFaults(size: number, isRefused: boolean): Promise<void> {
    const [first] = this.#faults;
    if (first === undefined) return;
    const { expected } = this.#inspection;
    const tail = { position: first.position, nextOffset: this.#offsetAtFault, lastBehind: this.#lastBehind };
    if (!isRefused && this.#place.isLast && isTornTail({ ...tail, indexed: this.#index.last, ...expected })) {
      const bytes = size - first.position;
      const message = `a torn write of ${bytes} bytes, which the next start cuts: ${first.message}`;
      this.#batches.nextOffset = this.#offsetAtFault;
      return this.#tell('note', first.check, message, first.position);
    }
    for (const { check, message, position } of this.#faults) await this.#tell('damage', check, message, position);
    const more = this.#faultCount - this.#faults.length;
    if (more > 0) await this.#tell('damage', 'batch', `${more} more places are damaged`);
  }

  async #tell(severity: Severity, check: Check, message: string, position?: number): Promise<void> {
    await this.#inspection.report({ severity, check, path: this.#place.path, position, message });
  }
}

/** The header, undefined when none is intact, or why it cannot be read. */
async function readHeader(file: DiskFile): Promise<SegmentHeader | PartitaError | undefined> {
  const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES);
  const read = await file.read(bytes, 0);
  try {
    return decodeSegmentHeader(bytes.subarray(0, read));
  } catch (error) {
    if (!(error instanceof PartitaError)) throw error;
    return error;
  }
}

/** What is wrong with the segment header; undefined when nothing is. */
function headerFinding(
  header: SegmentHeader | PartitaError | undefined,
  size: number,
  place: SegmentPlace,
  expected: PartitionExpectation,
  isUnindexed: boolean,
): Finding | undefined {
  const tell = (severity: Severity, message: string): Finding => ({
    severity,
    check: 'segment-header',
    path: place.path,
    position: 0,
    message,
  });
  if (header instanceof PartitaError) return tell('damage', header.message);
  if (header === undefined) {
    const isUnborn = place.isLast && isUnindexed && size <= SEGMENT_HEADER_BYTES && !expected.closedClean;
    if (isUnborn) return tell('note', 'the broker stopped while it made the segment; the next start makes it again');
    return tell('damage', 'the file does not begin with an intact segment header');
  }
  if (expected.clusterId !== undefined && header.clusterId !== expected.clusterId) {
    return tell('damage', `it belongs to cluster ${header.clusterId}, the directory to ${expected.clusterId}`);
  }
  const isHere = header.topicId === expected.topicId && header.partition === expected.partition;
  if (isHere && header.baseOffset === place.baseOffset) return undefined;
  const found = `${header.topicId}/${header.partition} from offset ${header.baseOffset}`;
  return tell('damage', `it holds ${found}; it was moved or copied here`);
}
