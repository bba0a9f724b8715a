/**
 * What becomes of the groups of a shard, as log lines and traces. A rebalance lasts from the decision that raised the
 * group's epoch until nobody has anything to give up any more: everything then has the holder that it shall have.
 */
import { groupPhase } from '@partita/groups';
import type { Group, ShardState } from '@partita/groups';
import { beginOperation, UNTRACED } from '@partita/rpc';
import type { Operation, TracingMode } from '@partita/rpc';
import type { StateLines } from '@partita/runtime';
import type { ShardListener } from './shard-owner.ts';

export interface GroupNewsOptions {
  readonly lines: StateLines;
  readonly tracing: TracingMode;
  readonly state: () => ShardState;
}

/** A rebalance under way. */
interface Rebalance {
  readonly sinceMs: number;
  readonly operation: Operation;
  readonly revoke: Operation;
}

/** A group as last told. */
interface Told {
  readonly epoch: number;
  readonly memberIds: ReadonlySet<string>;
  readonly rebalance: Rebalance | undefined;
}

export class GroupNews implements ShardListener {
  readonly #options: GroupNewsOptions;
  readonly #told = new Map<string, Told>();

  constructor(options: GroupNewsOptions) {
    this.#options = options;
  }

  /** Another owner has told of what was before. */
  onServing(): void {
    this.#endAll('the shard was claimed anew');
    for (const [id, group] of this.#options.state()) this.#told.set(id, toldOf(group, undefined));
  }

  onChanged(groups: ReadonlySet<string>, decidedMs: number): void {
    for (const id of groups) this.#follow(id, this.#options.state().get(id), decidedMs);
  }

  /** The shard is not served here any more. */
  stop(): void {
    this.#endAll('the shard went to another owner');
  }

  #follow(id: string, group: Group | undefined, decidedMs: number): void {
    const before = this.#told.get(id);
    if (group?.value === undefined) return this.#gone(id, before);
    if (group.members.size === 0) return this.#empty(group, before);
    const { groupEpoch: epoch } = group.value;
    const isNew = before?.rebalance === undefined && epoch !== before?.epoch;
    const rebalance = isNew ? this.#begin(group, before, decidedMs) : before.rebalance;
    const isStable = groupPhase(group) === 'STABLE';
    this.#told.set(id, toldOf(group, isStable ? undefined : rebalance));
    if (rebalance === undefined) return;
    if (isStable) return this.#stable(group, rebalance, decidedMs);
    if (!isNew) return;
    const fields = { group: id, epoch, members: group.members.size, revoking: revokingCount(group) };
    rebalance.operation.within(() => this.#options.lines.write('group rebalances', fields));
  }

  #empty(group: Group, before: Told | undefined): void {
    const wasEmpty = before?.memberIds.size === 0;
    end(before?.rebalance, 'every member has left');
    this.#told.set(group.id, toldOf(group, undefined));
    if (wasEmpty) return;
    this.#options.lines.write('group is empty', { group: group.id, epoch: group.value?.groupEpoch ?? 0 });
  }

  #begin(group: Group, before: Told | undefined, sinceMs: number): Rebalance {
    const { tracing } = this.#options;
    const operation = beginOperation(tracing, 'rebalance', `rebalance ${group.id}`, {
      startMs: sinceMs,
      attributes: {
        'messaging.system': 'partita',
        'messaging.consumer.group.name': group.id,
        'partita.reason': reasonOf(group, before),
        'partita.member_count': group.members.size,
      },
    });
    const revokes = groupPhase(group) !== 'STABLE';
    const attributes = { 'partita.partition_count': revokingCount(group) };
    return {
      sinceMs,
      operation,
      revoke: revokes ? operation.begin('revoke', { startMs: sinceMs, attributes }) : UNTRACED,
    };
  }

  /** Everything has its holder: what the last decision gave out is durable. */
  #stable(group: Group, { sinceMs, operation, revoke }: Rebalance, assignedSinceMs: number): void {
    const { id, members, held } = group;
    const epoch = group.value?.groupEpoch ?? 0;
    revoke.end();
    operation.begin('assign', { startMs: assignedSinceMs, attributes: { 'partita.partition_count': held.size } }).end();
    operation.set('partita.epoch', epoch);
    operation.set('partita.partition_count', held.size);
    const duration_ms = Math.round(performance.now() - sinceMs);
    const fields = { group: id, epoch, members: members.size, partitions: held.size, duration_ms };
    operation.within(() => this.#options.lines.write('group is stable', fields));
    operation.end();
  }

  #gone(id: string, before: Told | undefined): void {
    if (before === undefined) return;
    end(before.rebalance, 'the group was deleted');
    this.#told.delete(id);
    this.#options.lines.write('group is gone', { group: id });
  }

  #endAll(why: string): void {
    for (const { rebalance } of this.#told.values()) end(rebalance, why);
    this.#told.clear();
  }
}

function toldOf(group: Group, rebalance: Rebalance | undefined): Told {
  return { epoch: group.value?.groupEpoch ?? 0, memberIds: new Set(group.members.keys()), rebalance };
}

/** A rebalance that was overtaken: its spans end, as errors. */
function end(rebalance: Rebalance | undefined, why: string): void {
  rebalance?.revoke.end();
  rebalance?.operation.fail(new Error(why));
  rebalance?.operation.end();
}

function reasonOf({ members }: Group, before: Told | undefined): string {
  const known = before?.memberIds ?? new Set<string>();
  if ([...members.keys()].some((id) => !known.has(id))) return 'member_joined';
  if ([...known].some((id) => !members.has(id))) return 'member_left';
  return 'subscription_or_topics_changed';
}

function revokingCount({ held }: Group): number {
  let count = 0;
  for (const { revoking } of held.values()) if (revoking) count += 1;
  return count;
}
