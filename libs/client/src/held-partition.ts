/** A partition as a member holds it, from its assignment until it is given up or taken away. */
import type { AssignedPartition, ConsumeAssignment, OffsetCommit } from '@partita/protocol';
import type { ReceivedRecord } from './record-form.ts';

/** A partition by name and number. */
export interface PartitionName {
  readonly topic: string;
  readonly partition: number;
}

/**
 * held: records are delivered. revoking: the group wants it back; the record in progress is being finished. given: the
 * answer is sent. gone: it is another member's, commits for it would be refused.
 */
export type HoldState = 'held' | 'revoking' | 'given' | 'gone';

export class HeldPartition implements PartitionName {
  readonly topic: string;
  readonly partition: number;
  readonly assignmentEpoch: number;
  state: HoldState = 'held';
  /** True once onRevoked was told of it. */
  told = false;
  /** Records below were handed out already: repeats after a lost stream. Undefined: none was. */
  nextWanted: bigint | undefined;
  /** Position up to which the handler is done, and the epoch of the last record; undefined = nothing yet. */
  finished: { readonly nextOffset: bigint; readonly recordEpoch: number } | undefined;

  constructor(assigned: AssignedPartition) {
    this.topic = assigned.topic;
    this.partition = assigned.partition;
    this.assignmentEpoch = assigned.assignmentEpoch;
  }

  finish(record: ReceivedRecord): void {
    this.finished = { nextOffset: record.offset + 1n, recordEpoch: record.leaderEpoch };
  }

  get assigned(): AssignedPartition {
    return { topic: this.topic, partition: this.partition, assignmentEpoch: this.assignmentEpoch, startOffset: 0n };
  }

  /** What to commit, or undefined when nothing is finished. */
  get commit(): OffsetCommit | undefined {
    if (this.finished === undefined) return undefined;
    const { topic, partition, assignmentEpoch } = this;
    return { topic, partition, assignmentEpoch, metadata: '', ...this.finished };
  }
}

/** What a new assignment changed. */
export interface AssignmentChange {
  readonly added: readonly HeldPartition[];
  /** Taken away without being asked back. */
  readonly lost: readonly HeldPartition[];
}

export class HeldPartitions {
  readonly #byKey = new Map<string, HeldPartition>();

  get(topic: string, partition: number, assignmentEpoch: number): HeldPartition | undefined {
    const held = this.#byKey.get(`${topic}/${partition}`);
    return held?.assignmentEpoch === assignmentEpoch ? held : undefined;
  }

  find(topic: string, partition: number): HeldPartition | undefined {
    return this.#byKey.get(`${topic}/${partition}`);
  }

  all(): HeldPartition[] {
    return [...this.#byKey.values()];
  }

  /** Takes in a whole assignment. Those to be given up are in state `revoking` afterwards. */
  apply(assignment: ConsumeAssignment): AssignmentChange {
    const added: HeldPartition[] = [];
    const listed = new Set<string>();
    const lost: HeldPartition[] = [];
    for (const assigned of assignment.partitions) {
      const key = `${assigned.topic}/${assigned.partition}`;
      listed.add(key);
      const before = this.#byKey.get(key);
      if (before?.assignmentEpoch === assigned.assignmentEpoch) continue;
      if (before !== undefined) lost.push(...this.#lose(before));
      const held = new HeldPartition(assigned);
      this.#byKey.set(key, held);
      added.push(held);
    }
    for (const [key, held] of this.#byKey) {
      if (listed.has(key)) continue;
      this.#byKey.delete(key);
      lost.push(...this.#lose(held));
    }
    for (const { topic, partition } of assignment.revoking) {
      const held = this.#byKey.get(`${topic}/${partition}`);
      if (held?.state === 'held') held.state = 'revoking';
    }
    return { added: added.filter((held) => held.state === 'held'), lost };
  }

  /** The membership is over: nothing is held any more. */
  loseAll(): HeldPartition[] {
    const lost = this.all().flatMap((held) => this.#lose(held));
    this.#byKey.clear();
    return lost;
  }

  /** The stream broke: an answer to a revocation may not have arrived, so it is given again. */
  streamLost(): void {
    for (const held of this.#byKey.values()) if (held.state === 'given') held.state = 'revoking';
  }

  /** The partition as news for onRevoked, unless that was told already. */
  #lose(held: HeldPartition): HeldPartition[] {
    const news = !held.told;
    held.state = 'gone';
    held.told = true;
    return news ? [held] : [];
  }
}
