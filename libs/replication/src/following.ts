/**
 * Whom a replica follows, and the join (REPLICATION: "Replication stream"): find the leader's stream, say what the own log
 * is, cut it where the leader says, then take what comes. The cut is by epoch history, never to the own high watermark.
 */
import { invariant, ProducerTable } from '@partita/domain';
import { noteFollowed } from './config-in-force.ts';
import { lastEpoch } from './epoch-history.ts';
import type { JoinAckInput, LinkOpenInput, LogFacts, ReplicaEffect, SnapshotInput } from './messages.ts';
import type { Following, PartitionState } from './partition-state.ts';

/** Follows the leader of the promised epoch, from the search for it on. */
export function beginFollowing(state: PartitionState, epoch: number, leaderId: number): ReplicaEffect[] {
  invariant(epoch === state.meta.promisedEpoch, `epoch ${epoch} is followed, ${state.meta.promisedEpoch} promised`);
  state.following = {
    epoch,
    leaderId,
    phase: 'seeking',
    nonce: '',
    cutTo: 0n,
    joinIsDue: false,
    leaderHighWatermark: 0n,
  };
  return [{ kind: 'seek', leaderId, epoch }];
}

/** Follows nobody any more; who was followed is told of the higher promise. */
export function unfollow(state: PartitionState, promisedEpoch: number): ReplicaEffect[] {
  const { following } = state;
  if (following === undefined) return [];
  state.following = undefined;
  const { leaderId, nonce } = following;
  if (nonce === '') return [];
  return [
    { kind: 'send-fenced', leaderId, promisedEpoch },
    { kind: 'changed', what: 'followed' },
  ];
}

/** The stream or the leader was lost: what it still sends is dropped. Whoever knows the leader says `follow` again. */
export function seekAgain(following: Following): ReplicaEffect[] {
  const wasLive = following.phase === 'live';
  following.phase = 'seeking';
  following.nonce = '';
  following.joinIsDue = false;
  return wasLive ? [{ kind: 'changed', what: 'followed' }] : [];
}

/** Joins as soon as no write is under way, so that what it says of the log is durable. */
export function onLinkOpen(state: PartitionState, input: LinkOpenInput): ReplicaEffect[] {
  const { following } = state;
  const isSought =
    following?.phase === 'seeking' && following.leaderId === input.leaderId && following.epoch === input.epoch;
  if (!isSought) return [];
  following.phase = 'joining';
  following.nonce = input.nonce;
  following.joinIsDue = true;
  return joinWhenQuiet(state);
}

/** Sends the join that waits for writes. Call it after whatever may end one. */
export function joinWhenQuiet(state: PartitionState): ReplicaEffect[] {
  const { following, durableEnd, logEnd, isCutting, forgetsLog, configFloor } = state;
  if (following?.joinIsDue !== true || durableEnd < logEnd || isCutting) return [];
  following.joinIsDue = false;
  const { leaderId, epoch, nonce } = following;
  const shape = forgetsLog ? { history: [], logEnd: 0n } : { history: state.history, logEnd };
  return [{ kind: 'send-join', leaderId, epoch, nonce, ...shape, configFloor }];
}

/** The leader says where the logs part. */
export function onJoinAck(state: PartitionState, input: JoinAckInput): ReplicaEffect[] {
  const following = joining(state, input.nonce);
  if (following === undefined || input.epoch !== following.epoch || input.fromSnapshot) return [];
  const { truncateTo } = input;
  checkCut(state, input);
  if (state.forgetsLog) return change(state, following, { kind: 'install', baseOffset: 0n, content: undefined });
  if (truncateTo < state.logStart) {
    state.forgetsLog = true;
    return seekAgain(following);
  }
  if (truncateTo === state.logEnd) return goLive(state, following);
  return change(state, following, { kind: 'cut', toOffset: truncateTo });
}

/** The leader's log begins behind this one's end: begins anew with the leader's first segment. */
export function onSnapshot(state: PartitionState, input: SnapshotInput): ReplicaEffect[] {
  const following = joining(state, input.nonce);
  if (following === undefined) return [];
  const { baseOffset, content } = input;
  return change(state, following, { kind: 'install', baseOffset, content });
}

function joining({ following }: PartitionState, nonce: string): Following | undefined {
  return following?.phase === 'joining' && !following.joinIsDue && following.nonce === nonce ? following : undefined;
}

/** Committed records are cut only where an operator has accepted their loss, the first time that is met (I6). */
function checkCut(state: PartitionState, { truncateTo, unclean }: JoinAckInput): void {
  invariant(truncateTo <= state.logEnd, `a leader cuts at ${truncateTo} a log that ends at ${state.logEnd}`);
  if (truncateTo >= state.highWatermark || state.forgetsLog) return;
  const isAccepted = unclean.some(({ epoch }) => epoch > lastEpoch(state.history));
  invariant(isAccepted, `a leader cuts at ${truncateTo}, below the high watermark ${state.highWatermark}`);
  state.highWatermark = truncateTo > state.logStart ? truncateTo : state.logStart;
}

function change(
  state: PartitionState,
  following: Following,
  order: Extract<ReplicaEffect, { kind: 'cut' | 'install' }>,
): ReplicaEffect[] {
  following.phase = 'cutting';
  following.cutTo = order.kind === 'cut' ? order.toOffset : order.baseOffset;
  state.isCutting = true;
  return [order];
}

/** The log is as the leader wants it. Whom this replica follows by now may be another: then it is asked anew. */
export function onLogCut(state: PartitionState, facts: LogFacts): ReplicaEffect[] {
  const { following, highWatermark } = state;
  invariant(state.isCutting, 'a log is cut when that was ordered');
  const { logStart, logEnd } = facts;
  const capped = highWatermark < logEnd ? highWatermark : logEnd;
  const producers = new ProducerTable(facts.producers);
  // The record of a change may have been cut: then the config before it is the newest again.
  Object.assign(state, facts, {
    producers,
    configEnd: logEnd,
    durableEnd: logEnd,
    highWatermark: capped > logStart ? capped : logStart,
  });
  state.isCutting = false;
  state.forgetsLog = false;
  const heard = noteFollowed(state);
  if (following?.phase !== 'cutting') return [...heard, ...joinWhenQuiet(state)];
  if (following.cutTo === logEnd) return [...heard, ...goLive(state, following)];
  // The cut fell into a hole that compaction left: the leader has to know that this log ends in front of it.
  const { leaderId, epoch } = following;
  return [...heard, ...seekAgain(following), { kind: 'seek', leaderId, epoch }];
}

/** The log stays as it is: tries again when somebody says `follow` again. */
export function onCutFailed(state: PartitionState): ReplicaEffect[] {
  state.isCutting = false;
  const { following } = state;
  return following?.phase === 'cutting' ? seekAgain(following) : joinWhenQuiet(state);
}

function goLive(state: PartitionState, following: Following): ReplicaEffect[] {
  following.phase = 'live';
  return [ackOf(state, following), { kind: 'changed', what: 'followed' }];
}

/** What the leader is told of the own log. */
export function ackOf({ durableEnd, configs }: PartitionState, following: Following): ReplicaEffect {
  const { leaderId, epoch, nonce } = following;
  return { kind: 'send-ack', leaderId, epoch, nonce, durableEnd, fsynced: configs[0]?.flush === 'fsync' };
}
