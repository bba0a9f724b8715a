/**
 * Guards of the protocol, each taken away by itself, with a seed that shows what it was for. A seed goes stale when the
 * simulation draws otherwise: `node tools/sim/main.ts mutants hunt 3000` finds new ones.
 */
import { SESSION_MUTANTS } from './session-mutants.ts';
import type { Variant } from './variants.ts';

export interface Mutant extends Variant {
  /** Kills it; undefined = none found, and `why` tells. */
  readonly seed: number | undefined;
  /** Which other guard covers it. */
  readonly why?: string;
}

const STATUS = 'libs/cluster/src/partition-status.ts';
const ELECTION = 'libs/cluster/src/elections/leader-election.ts';
const PROMISE = 'libs/replication/src/promise.ts';
const FOLLOWER = 'libs/replication/src/follower.ts';
const FOLLOWING = 'libs/replication/src/following.ts';
const SENDER = 'libs/replication/src/follower-sender.ts';
const IN_SYNC = 'libs/replication/src/in-sync-set.ts';
const WATERMARK = 'libs/replication/src/high-watermark.ts';
const COMMITMENT = 'libs/replication/src/commitment.ts';
const HISTORY = 'libs/replication/src/epoch-history.ts';
const LEADER = 'libs/replication/src/leader.ts';
const RULES = 'libs/replication/src/append-rules.ts';
const BROKER = 'tools/sim/core/broker.ts';

/** Not a mutant but the other rule of commitment, as safe and slower: all in-sync replicas, at least m, hold a record. */
export const COMMIT_BY_MINIMUM: Variant = {
  name: 'committed at the lowest in-sync end',
  file: WATERMARK,
  from: '[minInSyncReplicas - 1]',
  to: '[Math.max(minInSyncReplicas, inSyncEnds.length) - 1]',
};

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'elections need R - m promises',
    file: STATUS,
    from: 'Math.max(replicaCount - minInSyncReplicas + 1, Math.floor(replicaCount / 2) + 1)',
    to: 'Math.max(1, replicaCount - minInSyncReplicas)',
    seed: 1,
  },
  {
    name: 'elections need a majority only',
    file: STATUS,
    from: 'Math.max(replicaCount - minInSyncReplicas + 1, Math.floor(replicaCount / 2) + 1)',
    to: 'Math.floor(replicaCount / 2) + 1',
    seed: 10,
  },
  {
    name: 'any of the quorum leads, not the best log',
    file: ELECTION,
    from: '.toSorted((a, b) => compareLogs(rank, a, b))',
    to: '.toSorted((a, b) => -compareLogs(rank, a, b))',
    seed: 11,
  },
  {
    name: 'the longest log leads, whatever its epoch',
    file: ELECTION,
    from: 'if (a.lastEpoch !== b.lastEpoch) return b.lastEpoch - a.lastEpoch;',
    to: '',
    seed: 859,
  },
  {
    name: 'suspect replicas count in elections',
    file: ELECTION,
    from: 'reply.granted && !reply.suspect',
    to: 'reply.granted',
    seed: 30,
  },
  {
    name: 'a suspect replica may lead',
    file: FOLLOWER,
    from: 'if (isSuspect || meta.ledEpoch',
    to: 'if (meta.ledEpoch',
    seed: 44,
  },
  {
    name: 'a power cut makes nobody suspect',
    file: BROKER,
    from: 'disk.meta = { ...disk.meta, suspect: true }',
    to: 'disk.meta = { ...disk.meta }',
    seed: 36,
  },
  {
    name: 'a blank disk keeps its identity',
    file: BROKER,
    from: 'new ReplicaDisk(identityOf(this.node, partition, this.#wipes), disk.config)',
    to: 'new ReplicaDisk(disk.identity, disk.config)',
    seed: 5,
  },
  {
    name: 'a promise is given before it is on disk',
    file: PROMISE,
    from: 'return beginGrant(state, { epoch, nonce, replies: [reply], leaderId: undefined });',
    to: 'return [answer(state, reply, true, epoch), ...beginGrant(state, { epoch, nonce, replies: [], leaderId: undefined })];',
    seed: 1,
  },
  {
    name: 'an epoch is granted to two attempts',
    file: PROMISE,
    from: 'if (epoch === meta.promisedEpoch && nonce === meta.grantNonce) return',
    to: 'if (epoch === meta.promisedEpoch) return',
    seed: 1,
  },
  {
    name: 'a grant under way takes in another attempt',
    file: PROMISE,
    from: 'if (grant.epoch === epoch && grant.nonce === nonce) {',
    to: 'if (grant.epoch === epoch) {',
    seed: 1,
  },
  {
    name: 'a grant does not wait for writes under way',
    file: PROMISE,
    from: 'state.durableEnd < state.logEnd || state.isCutting',
    to: 'state.isCutting',
    seed: 6,
  },
  {
    name: 'a grant does not wait for a cut under way',
    file: PROMISE,
    from: 'state.durableEnd < state.logEnd || state.isCutting',
    to: 'state.durableEnd < state.logEnd',
    seed: 4055,
  },
  {
    name: 'a leader goes on after its grant',
    file: PROMISE,
    from: '  const effects = stepDown(state);\n  effects.push(',
    to: '  const effects: ReplicaEffect[] = [];\n  effects.push(',
    seed: 15,
  },
  {
    name: 'a leader takes appends while it grants',
    file: RULES,
    from: 'state.grant !== undefined || ',
    to: '',
    seed: undefined,
    why: 'the grant waits for those as well, so they are reported; it only takes longer',
  },
  {
    name: 'a follower acknowledges after its grant',
    file: PROMISE,
    from: 'return [...unfollow(state, grant.epoch), ...persistNext(state)];',
    to: 'return persistNext(state);',
    seed: 74,
  },
  {
    name: 'anybody may lead who promised the epoch, whatever the attempt',
    file: FOLLOWER,
    from: 'meta.promisedEpoch === epoch && meta.grantNonce === nonce',
    to: 'meta.promisedEpoch === epoch',
    seed: undefined,
    why: 'two attempts of one epoch cannot both have a quorum of promises',
  },
  {
    name: 'an epoch is led twice',
    file: FOLLOWER,
    from: ' || meta.ledEpoch >= input.epoch',
    to: '',
    seed: 508,
  },
  {
    name: 'leads without looking at its log',
    file: FOLLOWER,
    from: 'return isSameLog && state.durableEnd === state.logEnd;',
    to: 'return isSameLog || state.durableEnd === state.logEnd;',
    seed: undefined,
    why: 'the barrier of the grant keeps the log as it was reported',
  },
  {
    name: 'a lead is not on disk before the epoch begins',
    file: FOLLOWER,
    from: 'meta: { ...meta, ledEpoch: epoch, suspect: meta.suspect && !unclean } }];',
    to: 'meta }];',
    seed: 1,
  },
  {
    name: 'a follower goes with a lower epoch than it promised',
    file: FOLLOWER,
    from: 'if (epoch < meta.promisedEpoch) {',
    to: 'if (epoch < meta.promisedEpoch && following === undefined && leaderId === 0) {',
    seed: 1,
  },
  {
    name: 'a follower acknowledges before its disk has it',
    file: FOLLOWING,
    from: 'export function ackOf({ durableEnd, configs }: PartitionState',
    to: 'export function ackOf({ logEnd: durableEnd, configs }: PartitionState',
    seed: 2,
  },
  {
    name: 'a follower counts by what it said when it joined',
    file: IN_SYNC,
    from: '    durableEnd: 0n,',
    to: '    durableEnd: logEnd,',
    seed: 15,
  },
  {
    name: 'a follower does not cut its log',
    file: FOLLOWING,
    from: 'if (truncateTo === state.logEnd) return goLive',
    to: 'if (truncateTo <= state.logEnd) return goLive',
    seed: 3,
  },
  {
    name: 'a follower cuts to its high watermark',
    file: FOLLOWING,
    from: "return change(state, following, { kind: 'cut', toOffset: truncateTo });",
    to: "return change(state, following, { kind: 'cut', toOffset: state.highWatermark });",
    seed: 131,
  },
  {
    name: 'logs part at the lower end, whatever their epochs',
    file: HISTORY,
    from: '    if (end === undefined || otherEnd === undefined) continue;\n    return end < otherEnd ? end : otherEnd;',
    to: '    if (end === undefined) continue;\n    return one.logEnd < other.logEnd ? one.logEnd : other.logEnd;',
    seed: 3,
  },
  {
    name: 'a follower does not check what its log ends with',
    file: FOLLOWER,
    from: 'if (input.baseOffset !== state.logEnd) return seekAgain(following);',
    to: '',
    seed: undefined,
    why: 'a stream is in order, and the epoch before the first batch is checked as well',
  },
  {
    name: 'a follower takes what an earlier stream sent',
    file: FOLLOWER,
    from: ' || following.nonce !== input.nonce',
    to: '',
    seed: undefined,
    why: 'what an earlier join was sent comes before the answer to a later one, and is dropped until then',
  },
  {
    name: 'acknowledgements of an earlier stream count',
    file: IN_SYNC,
    from: 'if (input.epoch !== role.epoch || follower?.nonce !== input.nonce) return [];',
    to: 'if (follower === undefined) return [];',
    seed: undefined,
    why: 'what was durable then is cut in a higher epoch only, whose promise ends this one',
  },
  {
    name: 'a follower is in sync without being level',
    file: 'libs/replication/src/follower-level.ts',
    from: 'return follower.durableEnd >= state.highWatermark && follower.durableEnd > role.epochStartOffset;',
    to: 'return state.highWatermark >= 0n || follower.durableEnd > role.epochStartOffset;',
    seed: 36,
  },
  {
    name: 'a lost follower goes on counting',
    file: IN_SYNC,
    from: 'if (role.followers.get(input.brokerId)?.nonce !== input.nonce) return [];\n  return [...dropFollower(role, input.brokerId), ...advance(state, role)];',
    to: 'return [];',
    seed: undefined,
    why: 'what it acknowledged stays on its disk; it would only make refusals late',
  },
  {
    name: 'a suspect replica is cleared without being in sync',
    file: FOLLOWER,
    from: 'if (inSync && state.meta.suspect',
    to: 'if (state.meta.suspect',
    seed: 91,
  },
  {
    name: 'one replica fewer than m commits',
    file: WATERMARK,
    from: '[minInSyncReplicas - 1]',
    to: '[Math.max(0, minInSyncReplicas - 2)]',
    seed: 1,
  },
  {
    name: 'the longest follower alone commits',
    file: WATERMARK,
    from: '[minInSyncReplicas - 1]',
    to: '[0]',
    seed: 1,
  },
  {
    name: 'records of earlier epochs are committed by counting',
    file: WATERMARK,
    from: 'end > epochStartOffset && end',
    to: 'end',
    seed: undefined,
    why: 'a follower is in sync only with the first record of the epoch',
  },
  {
    name: 'a leader counts what its own disk does not have yet',
    file: COMMITMENT,
    from: 'const ownEnd = state.durableEnd;',
    to: 'const ownEnd = state.logEnd;',
    seed: 2,
  },
  {
    name: 'acks=all is answered when it is durable here',
    file: COMMITMENT,
    from: "entry.request.acks === 'all' ? state.highWatermark : state.durableEnd",
    to: 'state.durableEnd',
    seed: 1,
  },
  {
    name: 'a follower believes the watermark beyond its own disk',
    file: FOLLOWER,
    from: 'const end = said < state.durableEnd ? said : state.durableEnd;',
    to: 'const end = said < state.logEnd ? said : state.logEnd;',
    seed: 2,
  },
  {
    name: 'appends are taken with too few replicas in sync',
    file: LEADER,
    from: 'if (!hasEnoughInSync(state, role) || (role.held',
    to: 'if ((role.held',
    seed: undefined,
    why: 'they wait for enough all the same; only the definite refusal is lost',
  },
  {
    name: 'a leader pushes before the follower is ready',
    file: SENDER,
    from: 'if (!follower.isLive || this.#isReading',
    to: 'if (this.#isReading',
    seed: 3,
  },
  {
    name: 'a promise that elected nobody is not told to the leader',
    file: FOLLOWER,
    from: "return isLost ? [{ kind: 'send-fenced', leaderId, promisedEpoch: meta.promisedEpoch }] : [];",
    to: 'return isLost ? [] : [];',
    seed: 40,
  },
  {
    name: 'a leader does not step down for a higher promise of a follower',
    file: 'libs/replication/src/partition.ts',
    from: 'input.promisedEpoch > role.epoch ? stepDown(state) : []',
    to: '[]',
    seed: 40,
  },
  ...SESSION_MUTANTS,
];
