/**
 * Folds the log as it is written and holds every record to the invariants (REPLICATION, section 1): I17 one owner per
 * partition and terms that only grow, I18 commits from the owner alone and never back, I19 nothing skipped; and that what
 * owners keep in memory is what the log says.
 */
import { partitionKey } from '@partita/domain';
import { apply, memberEpochOf } from '@partita/groups';
import type {
  AssignmentValue,
  Group,
  GroupRecord,
  MemberValue,
  OffsetCommit,
  ShardCore,
  ShardState,
  TopicCatalog,
} from '@partita/groups';
import { stateDifference } from './same-state.ts';
import type { World } from './world.ts';

type AssignmentRecord = Extract<GroupRecord, { kind: 'assignment' }>;
type OffsetRecord = Extract<GroupRecord, { kind: 'offset' }>;
/** What of an owner is compared with the log. */
type Core = Pick<ShardCore<unknown, unknown>, 'state' | 'phase' | 'claimEpoch'>;

/** A partition that changed hands, or became free, in a batch. */
interface HandOver {
  readonly key: string;
  readonly memberId: string;
  readonly assignmentEpoch: number;
  /** Of the join by which it came; another one is another process, or one that knows nothing. */
  readonly peer: string | undefined;
}

export class Oracle {
  readonly #world: World;
  /** What the log says. */
  readonly truth: ShardState = new Map();
  /** Highest assignment epoch of each partition of each group. */
  readonly #terms = new Map<string, number>();
  readonly #memberEpochs = new Map<string, number>();
  readonly #groupEpochs = new Map<string, number>();
  /** Offsets that were delivered since the last reset, by group and partition. */
  readonly #delivered = new Map<string, boolean[]>();
  /** Holdings that a member has stopped working on and said so. */
  readonly #stopped = new Set<string>();
  /** Topics that were known when what an owner has under way was decided, by claim. */
  readonly #decidedWith = new Map<number, TopicCatalog>();
  /** Processes that know of their membership since the last take-over. */
  readonly #back = new Map<string, Set<string>>();
  readonly #everMembers = new Set<string>();
  /** Joins that were answered: a process that was told nothing works on nothing. */
  readonly #told = new Set<string>();

  constructor(world: World) {
    this.#world = world;
  }

  /** A batch is taken into the log. */
  onAppend(records: readonly GroupRecord[], claimEpoch: number): void {
    const { tally } = this.#world;
    this.#world.note(() => `log: ${records.map(describe).join('; ')}`);
    const owner = this.#world.nodes.find(({ core }) => core?.claimEpoch === claimEpoch && core.phase === 'serving');
    if (owner?.core !== undefined) this.#compare(owner.core, 'the owner as it appends');
    const handOvers: HandOver[] = [];
    const groups = new Set<string>();
    for (const record of records) if (record.kind === 'group') this.#noteAnew(record.group, record.value);
    for (const record of records) {
      groups.add(record.group);
      tally.add(`records: ${record.kind}`);
      const group = this.truth.get(record.group);
      if (record.kind === 'offset') this.#checkOffset(record, group);
      if (record.kind === 'assignment') this.#checkAssignment(record, group, handOvers);
      if (record.kind === 'member' && record.value !== undefined)
        this.#noteMember(record.memberId, record.value, group);
    }
    for (const record of records) apply(this.truth, record);
    for (const id of groups) this.#checkGroup(id);
    for (const handOver of handOvers) this.#checkHandOver(handOver, claimEpoch);
  }

  /** An owner decides by the topics that it knows, which may be older than what the owner before it knew. */
  onDecide(claimEpoch: number, catalog: TopicCatalog): void {
    this.#decidedWith.set(claimEpoch, catalog);
  }

  /** An owner begins to serve. While no later claim is in the log nobody else can have changed it. */
  onReplayed(core: Core): void {
    this.#compareCurrent(core, 'the owner after its replay');
  }

  onAppended(core: Core): void {
    this.#compareCurrent(core, 'the owner after an append');
  }

  /** The process of that join is told that it is in. */
  onJoined(group: string, memberId: string, peer: string): void {
    this.#told.add(peer);
    if (!this.#everMembers.has(memberId))
      this.#world.violate(`I18: ${memberId} was told that it is in ${group} and is not`);
  }

  /**
   * A process comes back by its member id, or is told of an assignment: it may commit then. One that is being replaced can be
   * told once more, between the record that replaces it and the end of its stream.
   */
  onBack(memberId: string, process: string): void {
    const back = this.#back.get(memberId);
    if (back === undefined) this.#back.set(memberId, new Set([process]));
    else back.add(process);
  }

  onDelivered(group: string, key: string, from: number, to: number): void {
    const name = `${group}/${key}`;
    this.#world.note(() => `delivered ${name} ${from}..${to}`);
    let delivered = this.#delivered.get(name);
    if (delivered === undefined) this.#delivered.set(name, (delivered = []));
    if (delivered[from] === true) this.#world.tally.add('records delivered again', to - from);
    for (let offset = from; offset < to; offset++) delivered[offset] = true;
    this.#world.tally.add('records delivered', to - from);
  }

  onStopped(memberId: string, key: string, assignmentEpoch: number): void {
    this.#stopped.add(`${memberId} ${key} ${assignmentEpoch}`);
  }

  /** The member was told that its commit holds: so it is in the log, and nothing but a reset takes it back. */
  onCommitAcknowledged(group: string, commit: OffsetCommit): void {
    this.#world.tally.add('commits acknowledged');
    const { topicId, partition } = commit.partition;
    // With its topic an offset may go, and come again at the start by an owner that does not know yet.
    if (this.#world.topics.endOf(topicId, partition) === undefined) return;
    const committed = this.truth.get(group)?.offsets.get(partitionKey(commit.partition));
    if (committed !== undefined && committed.nextOffset >= commit.nextOffset) return;
    if (committed !== undefined && committed.resetEpoch > commit.epoch) return;
    this.#world.violate(
      `I18: an acknowledged commit of ${commit.nextOffset} in ${partitionKey(commit.partition)} is lost`,
    );
  }

  /** The log as it is, compacted or not, gives the state. */
  checkReplay(): void {
    const replayed: ShardState = new Map();
    for (const record of this.#world.log.records()) apply(replayed, record);
    const difference = stateDifference(replayed, this.truth);
    if (difference !== undefined) this.#world.violate(`replay: the log does not give its state, ${difference}`);
  }

  #compareCurrent(core: Core, who: string): void {
    if (core.claimEpoch === this.#world.log.claimEpoch && core.phase === 'serving') this.#compare(core, who);
  }

  #compare(core: Core, who: string): void {
    const difference = stateDifference(core.state, this.truth);
    if (difference !== undefined) this.#world.violate(`replay: ${who} has another state than the log, ${difference}`);
  }

  /** A group may be deleted and made anew in one batch, of which the log keeps the last record. */
  #noteAnew(id: string, value: GroupRecord['value']): void {
    const before = this.truth.get(id)?.value;
    if (before === undefined || value === undefined || !('createTimeMs' in value)) return;
    if (before.createTimeMs !== value.createTimeMs) this.#forget(id);
  }

  #noteMember(memberId: string, { peer }: MemberValue, group: Group | undefined): void {
    this.#everMembers.add(memberId);
    const before = group?.members.get(memberId);
    if (before !== undefined && before.peer !== peer) this.#back.delete(memberId);
  }

  #checkOffset({ group: id, partition, value }: OffsetRecord, group: Group | undefined): void {
    const key = partitionKey(partition);
    const before = group?.offsets.get(key);
    if (value === undefined) {
      this.#world.tally.add('offsets dropped');
      return;
    }
    const what = `offset ${value.nextOffset} of ${key} in ${id}`;
    if (before !== undefined && value.resetEpoch > before.resetEpoch) {
      this.#world.see('offset reset');
      // From here on everything has to be delivered again.
      this.#delivered.get(`${id}/${key}`)?.fill(false, Number(value.nextOffset));
      return;
    }
    if (before !== undefined && value.resetEpoch < before.resetEpoch)
      this.#world.violate(`I18: ${what} undoes a reset`);
    if (before !== undefined && value.nextOffset < before.nextOffset) {
      this.#world.violate(`I18: ${what} falls from ${before.nextOffset}`);
    }
    const end = this.#world.topics.endOf(partition.topicId, partition.partition);
    if (end !== undefined && value.nextOffset > BigInt(end)) this.#world.violate(`I18: ${what} is beyond ${end}`);
    // Start offsets come from the owner, not from a member.
    if (value.metadata === '') return;
    this.#checkCommitter(what, value.metadata, value.resetEpoch, group, key);
    this.#checkDelivered(what, `${id}/${key}`, Number(before?.nextOffset ?? 0n), Number(value.nextOffset));
  }

  #checkCommitter(what: string, metadata: string, resetEpoch: number, group: Group | undefined, key: string): void {
    const [memberId = '', sent = '', process = ''] = metadata.split('|');
    const epoch = Number(sent);
    const held = group?.held.get(key);
    if (group === undefined || held?.memberId !== memberId) {
      return this.#world.violate(`I18: ${what} comes from ${memberId}, who does not hold it`);
    }
    const reached = memberEpochOf(group, memberId);
    if (epoch < held.assignmentEpoch || epoch > reached || epoch < resetEpoch) {
      this.#world.violate(`I18: ${what} was sent at epoch ${epoch}, not ${held.assignmentEpoch}..${reached}`);
    }
    if (epoch > held.assignmentEpoch) this.#world.tally.add('commits at a later epoch than their assignment');
    if (group.members.get(memberId)?.clientId !== process && !this.#isBack(memberId, process)) {
      this.#world.violate(`I18: ${what} comes from a process of ${memberId} that was replaced`);
    }
  }

  #isBack(memberId: string, process: string): boolean {
    return this.#back.get(memberId)?.has(process) === true;
  }

  #checkDelivered(what: string, name: string, from: number, to: number): void {
    const delivered = this.#delivered.get(name);
    for (let offset = from; offset < to; offset++) {
      if (delivered?.[offset] !== true) this.#world.violate(`I19: ${what} skips ${offset}, which nobody was given`);
    }
  }

  #checkAssignment(record: AssignmentRecord, group: Group | undefined, handOvers: HandOver[]): void {
    const key = partitionKey(record.partition);
    const name = `${record.group}/${key}`;
    const before = group?.held.get(key);
    const { value } = record;
    if (value !== undefined) this.#checkTerm(name, value, before);
    if (before === undefined || before.memberId === value?.memberId) return;
    const { memberId, assignmentEpoch } = before;
    const peer = group?.members.get(memberId)?.peer;
    handOvers.push({ key: name, memberId, assignmentEpoch, peer });
  }

  #checkTerm(name: string, value: AssignmentValue, before: AssignmentValue | undefined): void {
    const highest = this.#terms.get(name) ?? 0;
    const isSameTerm = before?.memberId === value.memberId && before.assignmentEpoch === value.assignmentEpoch;
    const what = `term ${value.assignmentEpoch} of ${name} for ${value.memberId}`;
    if (value.assignmentEpoch < highest) this.#world.violate(`I17: ${what} comes after ${highest}`);
    if (value.assignmentEpoch === highest && !isSameTerm) this.#world.violate(`I17: ${what} was another's`);
    if (isSameTerm && before.revoking && !value.revoking) this.#world.violate(`I17: ${what} is revoked no more`);
    this.#terms.set(name, value.assignmentEpoch);
  }

  /** A holder loses a partition by releasing it, by being put out, to another process of its name, or with the topic. */
  #checkHandOver({ key: name, memberId, assignmentEpoch, peer }: HandOver, claimEpoch: number): void {
    const [id = '', topicId = '', partition = ''] = name.split('/');
    if (this.#stopped.has(`${memberId} ${topicId}/${partition} ${assignmentEpoch}`)) return;
    const member = this.truth.get(id)?.members.get(memberId);
    if (member === undefined || member.peer !== peer || !this.#told.has(member.peer)) return;
    if (this.#decidedWith.get(claimEpoch)?.has(topicId) === false) return;
    this.#world.violate(`I17: ${name} is taken from ${memberId}, which has not released it`);
  }

  #checkGroup(id: string): void {
    const group = this.truth.get(id);
    if (group?.value === undefined) return this.#forget(id);
    const { groupEpoch } = group.value;
    if (groupEpoch < (this.#groupEpochs.get(id) ?? 0))
      this.#world.violate(`I17: the epoch of ${id} falls to ${groupEpoch}`);
    this.#groupEpochs.set(id, groupEpoch);
    for (const memberId of group.members.keys()) {
      const epoch = memberEpochOf(group, memberId);
      const before = this.#memberEpochs.get(memberId) ?? 0;
      if (epoch < before) this.#world.violate(`I17: the epoch of ${memberId} falls from ${before} to ${epoch}`);
      if (epoch > groupEpoch) this.#world.violate(`I17: the epoch of ${memberId} is above its group's`);
      this.#memberEpochs.set(memberId, epoch);
    }
    for (const [key, { memberId, targetMemberId, assignmentEpoch }] of group.held) {
      if (!group.members.has(memberId)) this.#world.violate(`I17: ${key} is held by ${memberId}, who is not in ${id}`);
      if (targetMemberId !== '' && !group.members.has(targetMemberId)) {
        this.#world.violate(`I17: ${key} waits for ${targetMemberId}, who is not in ${id}`);
      }
      if (assignmentEpoch > memberEpochOf(group, memberId)) {
        this.#world.violate(`I17: ${key} is held at ${assignmentEpoch}, above the epoch of ${memberId}`);
      }
    }
  }

  /** A group that is deleted and made anew begins anew. */
  #forget(id: string): void {
    this.#world.see('group forgotten');
    this.#groupEpochs.delete(id);
    for (const name of this.#terms.keys()) if (name.startsWith(`${id}/`)) this.#terms.delete(name);
  }
}

function describe(record: GroupRecord): string {
  const { value } = record;
  const plain = (_: string, inner: unknown): unknown => (typeof inner === 'bigint' ? Number(inner) : inner);
  const of = record.kind === 'member' ? record.memberId : 'partition' in record ? partitionKey(record.partition) : '';
  return `${record.group} ${record.kind} ${of} ${value === undefined ? 'none' : JSON.stringify(value, plain)}`;
}
