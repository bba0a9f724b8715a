/** All partitions of a member, kept equal to what the group says. */
import type { ConsumeAssignment } from '@partita/protocol';
import { refused } from './client-error.ts';
import { HeldPartition } from './held-partition.ts';
import type { PartitionName } from './held-partition.ts';

/** What a new assignment changed. */
export interface AssignmentChange {
  readonly added: readonly HeldPartition[];
  /** Held, and without delivery on this stream so far; those that were added among them. */
  readonly toBegin: readonly HeldPartition[];
  /** Taken away without being asked back. */
  readonly lost: readonly HeldPartition[];
  /** The same, with those that onRevoked was told of before. */
  readonly gone: readonly HeldPartition[];
}

export class HeldPartitions {
  readonly #byKey = new Map<string, HeldPartition>();

  get(topic: string, partition: number, assignmentEpoch: number): HeldPartition | undefined {
    const held = this.find(topic, partition);
    return held?.assignmentEpoch === assignmentEpoch ? held : undefined;
  }

  find(topic: string, partition: number): HeldPartition | undefined {
    return this.#byKey.get(`${topic}/${partition}`);
  }

  /** Throws STALE_GENERATION when the member does not hold it. */
  mustFind({ topic, partition }: PartitionName): HeldPartition {
    const held = this.find(topic, partition);
    if (held?.state === 'held' || held?.state === 'revoking') return held;
    throw refused('STALE_GENERATION', `this member does not hold partition ${partition} of "${topic}"`, {
      topic,
      partition: String(partition),
    });
  }

  all(): HeldPartition[] {
    return [...this.#byKey.values()];
  }

  /** Takes in a whole assignment. Those to be given up are in state `revoking` afterwards. */
  apply(assignment: ConsumeAssignment): AssignmentChange {
    const added: HeldPartition[] = [];
    const gone: HeldPartition[] = [];
    const lost: HeldPartition[] = [];
    const listed = new Set<string>();
    for (const assigned of assignment.partitions) {
      const key = `${assigned.topic}/${assigned.partition}`;
      listed.add(key);
      const before = this.#byKey.get(key);
      if (before?.assignmentEpoch === assigned.assignmentEpoch) {
        if (!before.begun && before.state === 'held') before.resumeAt(assigned.startOffset);
        continue;
      }
      if (before !== undefined) gone.push(before);
      if (before !== undefined) lost.push(...this.#lose(before));
      const held = new HeldPartition(assigned);
      this.#byKey.set(key, held);
      added.push(held);
    }
    for (const [key, held] of this.#byKey) {
      if (listed.has(key)) continue;
      this.#byKey.delete(key);
      gone.push(held);
      lost.push(...this.#lose(held));
    }
    for (const { topic, partition } of assignment.revoking) {
      const held = this.#byKey.get(`${topic}/${partition}`);
      if (held?.state === 'held') held.state = 'revoking';
    }
    const toBegin = this.all().filter((held) => held.state === 'held' && !held.begun);
    return { added: added.filter((held) => held.state === 'held'), toBegin, lost, gone };
  }

  /** The membership is over: nothing is held any more. */
  loseAll(): HeldPartition[] {
    const lost = this.all().flatMap((held) => this.#lose(held));
    this.#byKey.clear();
    return lost;
  }

  /** The stream broke: deliveries are over, and an answer to a revocation may not have arrived, so it is given again. */
  streamLost(): void {
    for (const held of this.#byKey.values()) {
      held.begun = false;
      if (held.state === 'given') held.state = 'revoking';
    }
  }

  /** The partition as news for onRevoked, unless that was told already. */
  #lose(held: HeldPartition): HeldPartition[] {
    const news = !held.told;
    held.state = 'gone';
    held.told = true;
    return news ? [held] : [];
  }
}
