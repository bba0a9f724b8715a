/** What one stream of a member was assigned, and what each new assignment changes in it. */
import type { AssignedPartition, ConsumeAssignment, OffsetCommit } from '@partita/protocol';
import { keyOf } from './history.ts';

/** A partition that the member has and need not give up. */
export interface Holding {
  readonly key: string;
  readonly assigned: AssignedPartition;
  /** Next offset to process. */
  next: number;
  /** Highest position that was committed, or where it began. */
  committed: number;
  /** Epoch of the last record processed; 0 = none. */
  recordEpoch: number;
}

/** What an assignment says that was not so before. */
export interface HoldingChange {
  readonly gained: readonly Holding[];
  /** To be given up; those that this stream never had begun have no holding. */
  readonly asked: readonly { readonly assigned: AssignedPartition; readonly holding: Holding | undefined }[];
  /** Gone without having been asked for. */
  readonly vanished: readonly Holding[];
}

export class MemberHoldings {
  readonly #held = new Map<string, Holding>();

  all(): Holding[] {
    return [...this.#held.values()];
  }

  /** The one of a key, if it was assigned at this epoch. */
  at(key: string, assignmentEpoch: number): Holding | undefined {
    const holding = this.#held.get(key);
    return holding?.assigned.assignmentEpoch === assignmentEpoch ? holding : undefined;
  }

  clear(): void {
    this.#held.clear();
  }

  /** Takes an assignment over. What is to be given up is held no more. */
  take({ partitions, revoking }: ConsumeAssignment): HoldingChange {
    // One that comes at another epoch was reset: it is the member's still, and anew.
    const listed = new Set(partitions.map(({ topic, partition }) => keyOf(topic, partition)));
    const given = new Set(revoking.map(nameOf));
    const vanished = this.all().filter(({ key }) => !listed.has(key));
    for (const { key } of vanished) this.#held.delete(key);
    const asked = revoking.map((assigned) => {
      const key = keyOf(assigned.topic, assigned.partition);
      const holding = this.at(key, assigned.assignmentEpoch);
      this.#held.delete(key);
      return { assigned, holding };
    });
    const gained: Holding[] = [];
    for (const assigned of partitions) {
      const key = keyOf(assigned.topic, assigned.partition);
      if (given.has(nameOf(assigned)) || this.at(key, assigned.assignmentEpoch) !== undefined) continue;
      const start = Number(assigned.startOffset);
      const holding = { key, assigned, next: start, committed: start, recordEpoch: 0 };
      this.#held.set(key, holding);
      gained.push(holding);
    }
    return { gained, asked, vanished };
  }
}

/** How far a holding was processed, as a commit. */
export function commitOf({ assigned, next, recordEpoch }: Holding): OffsetCommit {
  const { topic, partition, assignmentEpoch } = assigned;
  return { topic, partition, nextOffset: BigInt(next), recordEpoch, metadata: '', assignmentEpoch };
}

function nameOf({ topic, partition, assignmentEpoch }: AssignedPartition): string {
  return `${keyOf(topic, partition)} ${assignmentEpoch}`;
}
