/**
 * The state of the groups of one shard, and `apply`, its only mutation: the same live and on replay. Everything that can
 * be derived from the records is derived, so that replay of the log gives the state, whole.
 */
import { partitionKey } from '@partita/domain';
import type { TopicPartition } from '@partita/domain';
import type { AssignmentValue, GroupRecord, GroupValue, MemberValue, OffsetValue } from './records.ts';

/** A partition with who holds it. */
export interface HeldPartition extends AssignmentValue {
  readonly partition: TopicPartition;
}

/** A partition with its committed offset. */
export interface GroupOffset extends OffsetValue {
  readonly partition: TopicPartition;
}

/** One group. A group exists while it has a group record. */
export interface Group {
  readonly id: string;
  value: GroupValue | undefined;
  readonly members: Map<string, MemberValue>;
  /** By partitionKey. */
  readonly held: Map<string, HeldPartition>;
  /** By partitionKey. */
  readonly offsets: Map<string, GroupOffset>;
  /** Keys in `held` by member. Invariant: says the same as `held`. */
  readonly heldBy: Map<string, Set<string>>;
}

/** All groups of a shard by id. */
export type ShardState = Map<string, Group>;

/** What `decide` and queries need: the shard's state, or a draft over it. */
export interface GroupSource {
  get(group: string): Group | undefined;
}

export function emptyGroup(id: string): Group {
  return { id, value: undefined, members: new Map(), held: new Map(), offsets: new Map(), heldBy: new Map() };
}

/** A copy whose changes leave the original alone. */
export function forkGroup(group: Group): Group {
  const heldBy = new Map([...group.heldBy].map(([memberId, keys]) => [memberId, new Set(keys)]));
  return {
    id: group.id,
    value: group.value,
    members: new Map(group.members),
    held: new Map(group.held),
    offsets: new Map(group.offsets),
    heldBy,
  };
}

/** Applies one record. Groups of which nothing is left are forgotten. */
export function apply(state: ShardState, record: GroupRecord): void {
  let group = state.get(record.group);
  if (group === undefined) {
    if (record.value === undefined) return;
    group = emptyGroup(record.group);
    state.set(record.group, group);
  }
  applyToGroup(group, record);
  if (group.value === undefined && group.members.size + group.held.size + group.offsets.size === 0) {
    state.delete(record.group);
  }
}

/** Applies one record of this group. */
export function applyToGroup(group: Group, record: GroupRecord): void {
  switch (record.kind) {
    case 'group':
      group.value = record.value;
      return;
    case 'member':
      if (record.value === undefined) group.members.delete(record.memberId);
      else group.members.set(record.memberId, record.value);
      return;
    case 'assignment':
      return applyAssignment(group, record.partition, record.value);
    case 'offset': {
      const key = partitionKey(record.partition);
      if (record.value === undefined) group.offsets.delete(key);
      else group.offsets.set(key, { ...record.value, partition: record.partition });
      return;
    }
  }
}

function applyAssignment(group: Group, partition: TopicPartition, value: AssignmentValue | undefined): void {
  const key = partitionKey(partition);
  const before = group.held.get(key);
  if (before !== undefined && before.memberId !== value?.memberId) {
    const keys = group.heldBy.get(before.memberId);
    keys?.delete(key);
    if (keys?.size === 0) group.heldBy.delete(before.memberId);
  }
  if (value === undefined) {
    group.held.delete(key);
    return;
  }
  group.held.set(key, { ...value, partition });
  const keys = group.heldBy.get(value.memberId);
  if (keys === undefined) group.heldBy.set(value.memberId, new Set([key]));
  else keys.add(key);
}

/**
 * Groups as they will be once the records of a batch are acknowledged: decisions of one batch see each other, while the
 * shard's own state changes only afterwards.
 */
export class ShardDraft implements GroupSource {
  readonly #base: ShardState;
  readonly #changed: ShardState = new Map();
  readonly #gone = new Set<string>();

  constructor(base: ShardState) {
    this.#base = base;
  }

  get(id: string): Group | undefined {
    if (this.#gone.has(id)) return undefined;
    return this.#changed.get(id) ?? this.#base.get(id);
  }

  apply(record: GroupRecord): void {
    const id = record.group;
    if (!this.#changed.has(id) && !this.#gone.has(id)) {
      const base = this.#base.get(id);
      if (base !== undefined) this.#changed.set(id, forkGroup(base));
    }
    apply(this.#changed, record);
    if (this.#changed.has(id)) this.#gone.delete(id);
    else this.#gone.add(id);
  }
}

/** Where a group stands; the values of GroupState in the contract. */
export type GroupPhase = 'EMPTY' | 'RECONCILING' | 'STABLE';

export function groupPhase(group: Group): GroupPhase {
  if (group.members.size === 0) return 'EMPTY';
  for (const held of group.held.values()) if (held.revoking) return 'RECONCILING';
  return 'STABLE';
}

/** What a member holds, revoking partitions included, by topic and partition. */
export function assignmentOf(group: Group, memberId: string): readonly HeldPartition[] {
  const held: HeldPartition[] = [];
  for (const key of group.heldBy.get(memberId) ?? []) {
    const entry = group.held.get(key);
    if (entry !== undefined) held.push(entry);
  }
  return held.sort(
    (a, b) => compareText(a.partition.topicId, b.partition.topicId) || a.partition.partition - b.partition.partition,
  );
}

/**
 * Epoch that a member has reached: the group's once it has nothing to give up, else the one in which it stopped, or
 * that of the newest partition it was given since. Invariant: never falls, because its record keeps the epoch from
 * before a revocation.
 */
export function memberEpochOf(group: Group, memberId: string): number {
  const member = group.members.get(memberId);
  if (member === undefined || group.value === undefined) return 0;
  let reached = member.memberEpoch;
  let revoking = false;
  for (const key of group.heldBy.get(memberId) ?? []) {
    const held = group.held.get(key);
    if (held === undefined) continue;
    revoking ||= held.revoking;
    reached = Math.max(reached, held.assignmentEpoch);
  }
  return revoking ? reached : group.value.groupEpoch;
}

/** True when the member has been told to give something up and has not yet. */
export function isRevoking(group: Group, memberId: string): boolean {
  for (const key of group.heldBy.get(memberId) ?? []) if (group.held.get(key)?.revoking === true) return true;
  return false;
}

/** Order of ids, the same in every locale. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
