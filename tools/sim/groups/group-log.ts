/**
 * The log of the group shard as its leader keeps it: takes a claim only above the highest or as its own repeat, appends of
 * the highest claim only, and of those each sequence once and in order. Replication below it has a simulation of its own.
 */
import { recordKey } from '@partita/groups';
import type { GroupRecord, ShardAppend } from '@partita/groups';
import type { World } from './world.ts';

interface Entry {
  readonly offset: number;
  readonly record: GroupRecord;
}

export type ClaimAnswer =
  { readonly kind: 'claimed'; readonly offset: number } | { readonly kind: 'refused'; readonly current: number };

export type AppendAnswer = 'appended' | 'FENCED_CLAIM' | 'OUT_OF_ORDER_SEQUENCE' | 'UNKNOWN_PRODUCER';

/** Batches of the claim's producer that a repeat is compared with. */
const WINDOW_BATCH_COUNT = 5;

export class GroupLog {
  readonly #world: World;
  #entries: Entry[] = [];
  #endOffset = 0;
  #claim = { epoch: 0, claimant: '', offset: 0 };
  #nextSequence = 0;
  #window: { readonly first: number; readonly count: number }[] = [];

  constructor(world: World) {
    this.#world = world;
  }

  get claimEpoch(): number {
    return this.#claim.epoch;
  }

  claim(epoch: number, claimant: string): ClaimAnswer {
    const { epoch: current } = this.#claim;
    this.#world.note(() => `claim ${epoch} of ${claimant} at ${current}`);
    const isRepeat = epoch === current && claimant === this.#claim.claimant;
    if (!isRepeat && epoch !== current + 1) return { kind: 'refused', current };
    this.#claim = { epoch, claimant, offset: this.#endOffset };
    this.#endOffset += 1;
    if (isRepeat) this.#world.see('claim repeated');
    else {
      // Each owner writes as a producer of its own; a repeat is the same one.
      this.#nextSequence = 0;
      this.#window = [];
    }
    return { kind: 'claimed', offset: this.#claim.offset };
  }

  append(append: ShardAppend<GroupRecord>): AppendAnswer {
    if (append.claimEpoch !== this.#claim.epoch) {
      this.#world.see('late append fenced by a claim');
      return 'FENCED_CLAIM';
    }
    const first = Number(append.firstSequence);
    const fault = this.#sequenceFault(first, append.records.length);
    if (fault !== undefined) return fault;
    this.#nextSequence = first + append.records.length;
    this.#window.push({ first, count: append.records.length });
    if (this.#window.length > WINDOW_BATCH_COUNT) this.#window.shift();
    this.#world.oracle.onAppend(append.records, append.claimEpoch);
    for (const record of append.records) {
      this.#entries.push({ offset: this.#endOffset, record });
      this.#endOffset += 1;
    }
    return 'appended';
  }

  /** Records from an offset on. */
  read(from: number, count: number): readonly Entry[] {
    let at = 0;
    let above = this.#entries.length;
    while (at < above) {
      const middle = (at + above) >> 1;
      if ((this.#entries[middle]?.offset ?? from) < from) at = middle + 1;
      else above = middle;
    }
    const read: Entry[] = [];
    for (; at < this.#entries.length && read.length < count; at++) {
      const entry = this.#entries[at];
      if (entry === undefined) break;
      read.push(entry);
    }
    return read;
  }

  records(): readonly GroupRecord[] {
    return this.#entries.map(({ record }) => record);
  }

  /** Keeps the last record of each key below a point; deletions too while somebody may be reading. */
  compact(below: number, dropsDeletions: boolean): void {
    const last = new Map<string, number>();
    for (const { offset, record } of this.#entries) if (offset < below) last.set(recordKey(record), offset);
    this.#entries = this.#entries.filter(({ offset, record }) => {
      if (offset >= below) return true;
      return last.get(recordKey(record)) === offset && (record.value !== undefined || !dropsDeletions);
    });
  }

  get endOffset(): number {
    return this.#endOffset;
  }

  /** What a repeat, or a batch out of its turn, is answered; undefined = it is next. */
  #sequenceFault(first: number, count: number): AppendAnswer | undefined {
    if (first === this.#nextSequence) return undefined;
    if (first > this.#nextSequence) return 'OUT_OF_ORDER_SEQUENCE';
    const isKnown = this.#window.some((batch) => batch.first === first && batch.count === count);
    if (isKnown) this.#world.see('repeated append known by its sequence');
    return isKnown ? 'appended' : 'UNKNOWN_PRODUCER';
  }
}
