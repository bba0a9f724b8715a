/**
 * Holds the entries of an `.idx` against the batches of its log as they are walked. Recovery believes an intact entry, so
 * one that says something else than its batch is damage; entries that are missing or not intact are made again.
 */
import { indexEntryOf } from '../batch-scan.ts';
import { INDEX_ENTRY_BYTES, OffsetIndex } from '../offset-index.ts';
import type { IndexEntry } from '../offset-index.ts';
import { FINDING_COUNT_MAX } from './finding.ts';
import type { Finding, Severity } from './finding.ts';

const COMPARED = ['baseOffset', 'batchBytes', 'lastOffsetDelta', 'leaderEpoch', 'headerCrc'] as const;

export class IndexCheck {
  readonly #path: string;
  /** Size of the index file; undefined when there is none. */
  readonly #fileBytes: number | undefined;
  readonly #index: OffsetIndex;
  readonly #findings: Finding[] = [];
  #faultCount = 0;
  /** Number of the next entry to be met. */
  #next = 0;
  #maxTimestampMs: bigint | undefined;
  /** A gap may have held the highest timestamp. */
  #timestampsKnown = true;
  #epoch: number | undefined;
  /** False behind a gap, which may have held the first batch of an epoch. */
  #isEpochKnown = true;

  constructor(path: string, bytes: Buffer | undefined, seed: number) {
    this.#path = path;
    this.#fileBytes = bytes?.length;
    this.#index = OffsetIndex.decode(bytes ?? Buffer.alloc(0), seed);
  }

  /** The last intact entry: its batch, and all before it, were synced. */
  get last(): IndexEntry | undefined {
    return this.#index.at(this.#index.count - 1);
  }

  /** Takes the next batch of the log, in order. */
  batch(bytes: Buffer, at: number, position: number): void {
    this.#passOver(position);
    const batch = indexEntryOf(bytes, at, position);
    if (this.#maxTimestampMs === undefined || batch.maxTimestampMs > this.#maxTimestampMs) {
      this.#maxTimestampMs = batch.maxTimestampMs;
    }
    const entry = this.#index.at(this.#next);
    if (entry?.position === position) {
      this.#compare(entry, batch);
      this.#next += 1;
    } else if (entry !== undefined && this.#isEpochKnown && batch.leaderEpoch !== this.#epoch) {
      this.#fault(`it has no entry for the first batch of epoch ${batch.leaderEpoch}, at byte ${position}`);
    }
    this.#epoch = batch.leaderEpoch;
    this.#isEpochKnown = true;
  }

  /** Takes bytes that are no batch: what their entries say cannot be checked. */
  gap(position: number, end: number): void {
    this.#passOver(position);
    for (let entry = this.#index.at(this.#next); entry !== undefined && entry.position < end;) {
      this.#next += 1;
      entry = this.#index.at(this.#next);
    }
    this.#timestampsKnown = false;
    this.#isEpochKnown = false;
  }

  /** What is to be told, once the log has been walked to `logBytes`. `isComplete` = the last batch must have an entry. */
  finish(logBytes: number, isComplete: boolean): readonly Finding[] {
    const { last } = this;
    const behind = this.#index.count - this.#next;
    if (behind > 0 && last !== undefined) {
      const end = last.baseOffset + BigInt(last.lastOffsetDelta) + 1n;
      this.#fault(`it knows synced batches up to offset ${end}, of which the log has lost ${behind} or more`);
    }
    if (this.#faultCount > FINDING_COUNT_MAX) {
      this.#add('damage', `${this.#faultCount - FINDING_COUNT_MAX} more entries do not agree with the log`);
    }
    const intactBytes = this.#index.count * INDEX_ENTRY_BYTES;
    if (this.#fileBytes === undefined) this.#add('note', 'there is none; it is made again from the log');
    else if (this.#fileBytes > intactBytes) {
      const rest = this.#fileBytes - intactBytes;
      this.#add('note', `its last ${rest} bytes are no intact entries; they are made again from the log`, intactBytes);
    } else if (isComplete && this.#epoch !== undefined && (last?.position ?? 0) + (last?.batchBytes ?? 0) < logBytes) {
      this.#add('note', 'it does not reach to the end of the log; the rest is made again');
    }
    return this.#findings;
  }

  #compare(entry: IndexEntry, batch: IndexEntry): void {
    for (const name of COMPARED) {
      if (entry[name] === batch[name]) continue;
      this.#fault(
        `entry ${this.#next} says ${name} ${entry[name]}, the batch at byte ${batch.position} ${batch[name]}`,
      );
      return;
    }
    if (this.#timestampsKnown && entry.maxTimestampMs !== this.#maxTimestampMs) {
      const found = `${entry.maxTimestampMs}, not ${this.#maxTimestampMs}`;
      this.#fault(`entry ${this.#next} says that the highest timestamp up to byte ${batch.position} is ${found}`);
    }
  }

  /** Entries below the position belong to no batch. */
  #passOver(position: number): void {
    for (let entry = this.#index.at(this.#next); entry !== undefined && entry.position < position;) {
      this.#fault(`entry ${this.#next} names byte ${entry.position} of the log, where no batch begins`);
      this.#next += 1;
      entry = this.#index.at(this.#next);
    }
  }

  #fault(message: string): void {
    this.#faultCount += 1;
    if (this.#faultCount <= FINDING_COUNT_MAX) this.#add('damage', message, this.#next * INDEX_ENTRY_BYTES);
  }

  #add(severity: Severity, message: string, position?: number): void {
    this.#findings.push({ severity, check: 'index', path: this.#path, position, message });
  }
}
