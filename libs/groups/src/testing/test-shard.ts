/** A group shard as its owner runs it, over a cluster whose topics change. */
import { PartitaError } from '@partita/domain';
import { expect } from 'vitest';
import type { GroupCommand, GroupResponse, JoinCommand, OffsetCommit } from '../commands.ts';
import { decide } from '../decide.ts';
import { apply, assignmentOf, memberEpochOf } from '../group-state.ts';
import type { ShardState } from '../group-state.ts';
import type { GroupRecord } from '../records.ts';

/** Group of every example. */
export const G = 'group';

/** A shard as its owner runs it, with a cluster whose topics can change. Invariants are checked after every command. */
export class Shard {
  state: ShardState = new Map();
  readonly log: GroupRecord[] = [];
  readonly topics = new Map<string, number>();
  #memberEpochs = new Map<string, number>();
  #groupEpoch = 0;
  #committed = new Map<string, { readonly nextOffset: bigint; readonly resetEpoch: number }>();
  /** Last assignment epoch of each partition, whoever had it. */
  #terms = new Map<string, { memberId: string; epoch: number }>();

  readonly catalog = {
    topic: (name: string) => {
      const partitionCount = this.topics.get(name);
      return partitionCount === undefined ? undefined : { topicId: `id-${name}`, partitionCount };
    },
    matching: (pattern: string) =>
      [...this.topics.keys()].filter((name) => new RegExp(`^(?:${pattern})$`, 'u').test(name)),
    has: (topicId: string) => this.topics.has(topicId.slice(3)),
  };

  do(command: GroupCommand): GroupResponse {
    const { records, response } = decide(this.state, command, this.catalog);
    for (const record of records) {
      apply(this.state, record);
      this.log.push(record);
    }
    this.#check();
    return response;
  }

  /** As `do`, for a command that may be refused. */
  try(command: GroupCommand): GroupResponse | PartitaError {
    try {
      return this.do(command);
    } catch (error) {
      if (error instanceof PartitaError) return error;
      throw error;
    }
  }

  get group() {
    return this.state.get(G);
  }

  join(memberId: string, topics: readonly string[] = ['t'], instanceId = '', more: Partial<JoinCommand> = {}): string {
    const limits = { sessionTimeoutMs: 10_000, rebalanceTimeoutMs: 10_000, rack: '', capacity: 1, assignor: '' };
    return this.do({
      kind: 'join',
      group: G,
      memberId,
      instanceId,
      clientId: '',
      peer: '',
      topics,
      topicPattern: '',
      ...limits,
      wallMs: 5,
      ...more,
    }).memberId;
  }

  held(memberId: string) {
    return this.group === undefined ? [] : assignmentOf(this.group, memberId);
  }

  partitions(memberId: string): number[] {
    return this.held(memberId)
      .filter((held) => !held.revoking)
      .map((held) => held.partition.partition);
  }

  /** The member does what it was told to. */
  releaseAll(memberId: string, commits: readonly OffsetCommit[] = []): void {
    const partitions = this.held(memberId)
      .filter((held) => held.revoking)
      .map((held) => ({ ...held.partition, assignmentEpoch: held.assignmentEpoch }));
    this.do({ kind: 'release', group: G, memberId, partitions, commits, wallMs: 5 });
  }

  /** A group that is deleted and made anew begins anew. */
  #forget(): void {
    this.#groupEpoch = 0;
    this.#memberEpochs.clear();
    this.#committed.clear();
    this.#terms.clear();
  }

  #check(): void {
    const group = this.group;
    if (group === undefined) {
      this.#forget();
      return;
    }
    const groupEpoch = group.value?.groupEpoch ?? 0;
    expect(groupEpoch).toBeGreaterThanOrEqual(this.#groupEpoch);
    this.#groupEpoch = groupEpoch;
    for (const [memberId] of group.members) {
      const epoch = memberEpochOf(group, memberId);
      expect(epoch).toBeGreaterThanOrEqual(this.#memberEpochs.get(memberId) ?? 0);
      expect(epoch).toBeLessThanOrEqual(groupEpoch);
      this.#memberEpochs.set(memberId, epoch);
    }
    for (const [key, held] of group.held) {
      expect(group.members.has(held.memberId)).toBe(true);
      expect(held.targetMemberId === '' || group.members.has(held.targetMemberId)).toBe(true);
      expect(held.assignmentEpoch).toBeLessThanOrEqual(memberEpochOf(group, held.memberId));
      const before = this.#terms.get(key);
      // A new holder always comes with a higher epoch; nobody else has it under the same one.
      if (before !== undefined && before.memberId !== held.memberId)
        expect(held.assignmentEpoch).toBeGreaterThan(before.epoch);
      this.#terms.set(key, { memberId: held.memberId, epoch: held.assignmentEpoch });
    }
    for (const [key, offset] of group.offsets) {
      const before = this.#committed.get(key);
      if (before?.resetEpoch === offset.resetEpoch) expect(offset.nextOffset).toBeGreaterThanOrEqual(before.nextOffset);
      expect(offset.resetEpoch).toBeGreaterThanOrEqual(before?.resetEpoch ?? 0);
      this.#committed.set(key, offset);
    }
  }
}

/** A cluster whose only topic `t` has that many partitions. */
export function shard(partitionCount: number): Shard {
  const made = new Shard();
  made.topics.set('t', partitionCount);
  return made;
}

/** A commit in topic `t`, whose partitions end at 100. */
export function commitOf(partition: number, nextOffset: bigint, epoch: number): OffsetCommit {
  return {
    topic: 't',
    partition: { topicId: 'id-t', partition },
    nextOffset,
    recordEpoch: 1,
    metadata: '',
    epoch,
    highWatermark: 100n,
  };
}
