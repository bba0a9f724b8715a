/**
 * Guards of the group core, each taken away by itself, with a seed that shows what it was for. A seed goes stale when the
 * simulation draws otherwise: `node tools/sim/main.ts group-mutants hunt 3000` finds new ones.
 */
import type { Mutant } from '../core/mutants.ts';

const LOG = 'tools/sim/groups/group-log.ts';
const NODE = 'tools/sim/groups/shard-node.ts';
const CORE = 'libs/groups/src/shard/shard-core.ts';
const BATCH = 'libs/groups/src/shard/shard-batch.ts';
const OFFSETS = 'libs/groups/src/offsets.ts';
const RECONCILE = 'libs/groups/src/reconcile.ts';
const MEMBERSHIP = 'libs/groups/src/membership.ts';
const RESET = 'libs/groups/src/reset.ts';
const STATE = 'libs/groups/src/group-state.ts';

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'owner without sequences: a late copy of an append lands behind newer ones',
    file: LOG,
    from: 'if (first === this.#nextSequence) return undefined;',
    to: 'return undefined;',
    seed: 1,
  },
  {
    name: 'an append that is sent again gets sequences of its own',
    file: CORE,
    from: '    this.#resendCount += 1;',
    to: '    this.#resendCount += 1;\n    this.#nextSequence += BigInt(batch.encoded.length);',
    seed: 1,
  },
  {
    name: 'the leader does not look at the claim of an append',
    file: LOG,
    from: 'if (append.claimEpoch !== this.#claim.epoch) {',
    to: 'if (append.claimEpoch > this.#claim.epoch) {',
    seed: 8,
  },
  {
    name: 'a claim is taken again that another one has',
    file: LOG,
    from: 'epoch === current && claimant === this.#claim.claimant',
    to: 'epoch === current',
    seed: 29,
  },
  {
    name: 'ownerships of one process share a claimant',
    file: NODE,
    from: 'this.#world.freshId(`n${this.index}.`)',
    to: '`n${this.index}`',
    seed: 93,
  },
  {
    name: 'state changes before the append is acknowledged',
    file: CORE,
    from: '    this.#underWay = batch;\n',
    to: '    this.#underWay = batch;\n    for (const record of batch.records) apply(this.#state, record);\n',
    seed: 1,
  },
  {
    name: 'callers hear before the append is acknowledged',
    file: CORE,
    from: 'return { answers: batch.refused, append: this.#append(batch) };',
    to: 'return { answers: [...batch.refused, ...answersOf(batch)], append: this.#append(batch) };',
    seed: 1,
  },
  {
    name: 'the shard is served before it is replayed',
    file: CORE,
    from: "    this.#phase = 'replaying';",
    to: "    this.#phase = 'serving';",
    seed: 1,
  },
  {
    name: 'the state of an earlier claim is replayed onto',
    file: CORE,
    from: '    this.#state = new Map();\n    this.#phase',
    to: '    this.#phase',
    seed: 758,
  },
  {
    name: 'a replay that was overtaken is served',
    file: CORE,
    from: "isAlone ? 'serving' : 'claiming'",
    to: "isAlone ? 'serving' : 'serving'",
    seed: undefined,
    why: 'what such an owner writes is fenced; it only refuses what a whole state would not, which members outlive',
  },
  {
    name: 'what was under way is forgotten, not decided again',
    file: CORE,
    from: '    this.#queue.unshift(...entries);\n',
    to: '',
    seed: 2,
  },
  {
    name: 'commands of a batch do not see those before them',
    file: BATCH,
    from: '        draft.apply(record);\n',
    to: '',
    seed: 1,
  },
  {
    name: 'a commit is fenced by the epoch of its member alone',
    file: OFFSETS,
    from: 'holds && held.assignmentEpoch <= entry.epoch && entry.epoch <= reached',
    to: 'entry.epoch <= reached',
    seed: 6,
  },
  {
    name: 'a commit is not fenced by the epoch of its assignment',
    file: OFFSETS,
    from: 'holds && held.assignmentEpoch <= entry.epoch && entry.epoch <= reached',
    to: 'holds && entry.epoch <= reached',
    seed: 7,
  },
  {
    name: 'a commit lowers an offset',
    file: OFFSETS,
    from: 'committed === undefined || entry.nextOffset > committed',
    to: 'committed === undefined || entry.nextOffset !== committed',
    seed: 113,
  },
  {
    name: 'start offsets overwrite what is committed',
    file: OFFSETS,
    from: 'if (before.offsets.has(partitionKey(start.partition))) continue;',
    to: '',
    seed: undefined,
    why: 'owners ask for start offsets only where none is committed, and decide late but rarely; decide.spec.ts shows it',
  },
  {
    name: 'a partition changes hands without its release',
    file: RECONCILE,
    from: 'assign(decision, partition, { memberId, assignmentEpoch, revoking: true, targetMemberId: next });',
    to: 'handOver(decision, { ...held, memberId, assignmentEpoch, partition, revoking: true, targetMemberId: next });',
    seed: 1,
  },
  {
    name: 'what is being given up is kept when the target turns back',
    file: RECONCILE,
    from: 'if (!held.revoking && held.memberId === next) return;',
    to: "if (held.memberId === next) return held.revoking ? assign(decision, held.partition, { ...held, revoking: false, targetMemberId: '' }) : undefined;",
    seed: 3,
  },
  {
    name: 'the next holder gets the epoch of the one before',
    file: RECONCILE,
    from: "assign(decision, held.partition, { memberId: next, assignmentEpoch, revoking: false, targetMemberId: '' });",
    to: "assign(decision, held.partition, { memberId: next, assignmentEpoch: held.assignmentEpoch, revoking: false, targetMemberId: '' });",
    seed: 1,
  },
  {
    name: 'two holders share the epoch of a reset',
    file: RECONCILE,
    from: 'if (held.assignmentEpoch >= assignmentEpoch) assignmentEpoch = raiseEpoch(decision);',
    to: '',
    seed: 130,
  },
  {
    name: 'the epoch that a member had reached is not kept',
    file: RECONCILE,
    from: 'for (const memberId of newlyRevoking(group, target)) keepEpoch(decision, memberId);',
    to: '',
    seed: 1,
  },
  {
    name: 'the epoch of a member falls with what it gives up',
    file: STATE,
    from: 'return revoking ? reached : group.value.groupEpoch;',
    to: 'return revoking ? member.memberEpoch : group.value.groupEpoch;',
    seed: 3,
  },
  {
    name: 'a static member is taken over at the epoch of the process before',
    file: MEMBERSHIP,
    from: 'const groupEpoch = raiseEpoch(decision);',
    to: 'const groupEpoch = group.value?.groupEpoch ?? 0;',
    seed: 104,
  },
  {
    name: 'a release of an earlier term counts',
    file: MEMBERSHIP,
    from: '!held.revoking || held.assignmentEpoch !== assignmentEpoch',
    to: '!held.revoking || held.assignmentEpoch < assignmentEpoch',
    seed: 419,
  },
  {
    name: 'a member releases what it was not told to give up',
    file: MEMBERSHIP,
    from: 'held?.memberId !== command.memberId || !held.revoking ||',
    to: 'held?.memberId !== command.memberId ||',
    seed: undefined,
    why: 'no member of this world does; reset.spec.ts shows it',
  },
  {
    name: 'a reset gives its partitions no new epoch',
    file: RESET,
    from: 'assign(decision, partition, { memberId, assignmentEpoch: resetEpoch, revoking, targetMemberId });',
    to: 'assign(decision, partition, { memberId, assignmentEpoch: held.assignmentEpoch, revoking, targetMemberId });',
    seed: 6,
  },
  {
    name: 'a reset lets the epoch of a member fall later',
    file: RESET,
    from: 'if (isRevoking(group, memberId)) keepEpoch(decision, memberId);',
    to: 'void isRevoking(group, memberId), keepEpoch;',
    seed: undefined,
    why: 'needs two partitions in revocation, a reset of one and its release before the other; reset.spec.ts shows it',
  },
  {
    name: 'partitions of a member that is put out stay with it',
    file: MEMBERSHIP,
    from: 'for (const held of assignmentOf(group, memberId)) handOver(decision, held);\n  rebalance',
    to: 'rebalance',
    seed: 1,
  },
];
