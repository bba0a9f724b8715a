/**
 * The next step from the replica set that a partition has to the one that is wanted (REPLICATION: "Changing the replica set"):
 * one member at a time, a learner first, old ones last, so that the set never has fewer replicas that count than before.
 * Pure: the same question is asked again after each step, and after any failure; a leader refuses what is not due.
 */
import { partitionKey } from '@partita/domain';
import type { ClusterPartition, ClusterState } from '../cluster-state.ts';
import { sameReplica } from '../inventory.ts';
import type { ReplicaConfig, ReplicaIdentity, ReplicaReport } from '../inventory.ts';
import { liveReplica } from '../partition-status.ts';

/** What is wanted. To replace a broker name another, to change the factor name more or fewer. */
export interface WantedReplicas {
  /** Brokers of the members, preferred leader first; at least one. */
  readonly brokerIds: readonly number[];
  /** 1 .. the number of brokers. */
  readonly minInSyncReplicas: number;
}

/** What to do next. All but `done` is followed by asking again. */
export type ReplicaStep =
  | { readonly kind: 'done' }
  | { readonly kind: 'wait'; readonly why: string }
  /** Ask the leader for this set. */
  | { readonly kind: 'propose'; readonly config: ReplicaConfig }
  /** Make the replica on its broker: the committed set, which is given with it, has it and the broker does not. */
  | { readonly kind: 'make'; readonly replica: ReplicaIdentity; readonly config: ReplicaConfig }
  /** Delete it: the committed set has it no longer. */
  | { readonly kind: 'delete'; readonly brokerId: number; readonly replicaId: string; readonly configVersion: number }
  /** The leader is to go: elect one of the other members first. */
  | { readonly kind: 'move-leader'; readonly brokerIds: readonly number[] };

interface Place {
  readonly state: ClusterState;
  readonly topicId: string;
  readonly known: ClusterPartition;
  readonly config: ReplicaConfig;
  readonly wanted: WantedReplicas;
}

/** The next step. `freshReplicaId` is called when a learner is added; its id must never have been used. */
export function planReplicaChange(
  state: ClusterState,
  topicId: string,
  partition: number,
  wanted: WantedReplicas,
  freshReplicaId: () => string,
): ReplicaStep {
  const known = state.partition(topicId, partition);
  const config = known?.config;
  if (known === undefined || config === undefined) return { kind: 'wait', why: 'its replica set is not known yet' };
  const place = { state, topicId, known, config, wanted };
  const tidied = making(place) ?? deleting(place);
  if (tidied !== undefined) return tidied;
  if (!known.live) return { kind: 'wait', why: 'it has no leader' };
  const step = droppingLost(place) ?? adding(place, freshReplicaId) ?? promoting(place) ?? removing(place);
  return step ?? settling(place);
}

/** The committed set has a replica that its broker lacks. */
function making(place: Place): ReplicaStep | undefined {
  const { config } = place;
  const replica = everybody(config).find(
    (identity) => isBrokerOf(place, identity) && reportOn(place, identity.brokerId) === undefined,
  );
  // A member that is gone from a disk that is still there was lost: only a learner may begin blank.
  const isLearner = config.learners.some((learner) => replica !== undefined && sameReplica(learner, replica));
  return replica !== undefined && isLearner ? { kind: 'make', replica, config } : undefined;
}

/** A broker has a replica that left the set. One that was made by a newer set than the one known here stays. */
function deleting(place: Place): ReplicaStep | undefined {
  const { state, config } = place;
  const { configVersion } = config;
  for (const { facts } of state.brokers()) {
    const report = facts.status === 'down' ? undefined : reportOn(place, facts.brokerId);
    if (report === undefined || everybody(config).some(({ replicaId }) => replicaId === report.replicaId)) continue;
    if (report.configFloor > configVersion || (report.config?.configVersion ?? 0) > configVersion) continue;
    return { kind: 'delete', brokerId: facts.brokerId, replicaId: report.replicaId, configVersion };
  }
  return undefined;
}

/** A member whose disk is gone holds nothing: it leaves, so that its broker can have another replica. */
function droppingLost(place: Place): ReplicaStep | undefined {
  const { config } = place;
  const isLost = (identity: ReplicaIdentity): boolean => {
    const facts = place.state.broker(identity.brokerId)?.facts;
    if (facts === undefined || facts.status === 'down') return false;
    return facts.directoryId !== identity.directoryId || reportOn(place, identity.brokerId) === undefined;
  };
  const learner = config.learners.find(isLost);
  if (learner !== undefined) return propose(config, { learners: without(config.learners, learner) });
  const member = config.replicas.find(isLost);
  if (member === undefined || config.replicas.length === 1) return undefined;
  return withoutMember(place, member);
}

/** A broker that is wanted has no replica yet. */
function adding(place: Place, freshReplicaId: () => string): ReplicaStep | undefined {
  const { state, config, wanted } = place;
  const brokerId = wanted.brokerIds.find((id) => !everybody(config).some((replica) => replica.brokerId === id));
  if (brokerId === undefined) return undefined;
  const facts = state.broker(brokerId)?.facts;
  if (facts === undefined || facts.status === 'down') return { kind: 'wait', why: `broker ${brokerId} is not up` };
  if (reportOn(place, brokerId) !== undefined)
    return { kind: 'wait', why: `broker ${brokerId} still has a replica that left the set` };
  const learner = { brokerId, directoryId: facts.directoryId, replicaId: freshReplicaId() };
  return propose(config, { learners: [...config.learners, learner] });
}

/** A learner that is wanted becomes a member as soon as it holds what is committed. */
function promoting(place: Place): ReplicaStep | undefined {
  const { state, topicId, known, config, wanted } = place;
  const learner = config.learners.find(({ brokerId }) => wanted.brokerIds.includes(brokerId));
  if (learner === undefined) return undefined;
  const { partition, leader } = known;
  const report = liveReplica(state, topicId, partition, learner)?.report;
  const committedEnd = reportOn(place, leader)?.highWatermark ?? 0n;
  if (report?.followingId !== leader || report.logEndOffset < committedEnd)
    return { kind: 'wait', why: `broker ${learner.brokerId} has not caught up` };
  const replicas = inOrder([...config.replicas, learner], wanted.brokerIds);
  return propose(config, { replicas, learners: without(config.learners, learner) });
}

/** All that are wanted are members: others go, the leader last. */
function removing(place: Place): ReplicaStep | undefined {
  const { config, wanted, known } = place;
  const isUnwanted = ({ brokerId }: ReplicaIdentity) => !wanted.brokerIds.includes(brokerId);
  const learner = config.learners.find(isUnwanted);
  if (learner !== undefined) return propose(config, { learners: without(config.learners, learner) });
  const unwanted = config.replicas.filter(isUnwanted);
  const member = unwanted.find(({ brokerId }) => brokerId !== known.leader) ?? unwanted[0];
  return member === undefined ? undefined : withoutMember(place, member);
}

/** The members are right: m and their order follow. */
function settling({ config, wanted }: Place): ReplicaStep {
  const replicas = inOrder(config.replicas, wanted.brokerIds);
  const isInOrder = replicas.every((replica, index) => replica === config.replicas[index]);
  const { minInSyncReplicas } = wanted;
  if (isInOrder && config.minInSyncReplicas === minInSyncReplicas) return { kind: 'done' };
  return propose(config, { replicas, minInSyncReplicas });
}

function withoutMember({ config, known, wanted }: Place, member: ReplicaIdentity): ReplicaStep {
  const replicas = without(config.replicas, member);
  if (member.brokerId === known.leader) {
    const left = replicas.map(({ brokerId }) => brokerId).filter((id) => wanted.brokerIds.includes(id));
    return { kind: 'move-leader', brokerIds: left };
  }
  const minInSyncReplicas = Math.min(config.minInSyncReplicas, replicas.length);
  return propose(config, { replicas, minInSyncReplicas });
}

function propose(config: ReplicaConfig, change: Partial<ReplicaConfig>): ReplicaStep {
  return { kind: 'propose', config: { ...config, ...change, configVersion: config.configVersion + 1 } };
}

function everybody({ replicas, learners }: ReplicaConfig): readonly ReplicaIdentity[] {
  return [...replicas, ...learners];
}

function without(replicas: readonly ReplicaIdentity[], gone: ReplicaIdentity): ReplicaIdentity[] {
  return replicas.filter((replica) => !sameReplica(replica, gone));
}

/** As the brokers are wanted, others behind them. */
function inOrder(replicas: readonly ReplicaIdentity[], brokerIds: readonly number[]): ReplicaIdentity[] {
  const place = ({ brokerId }: ReplicaIdentity) => {
    const index = brokerIds.indexOf(brokerId);
    return index < 0 ? brokerIds.length : index;
  };
  return replicas.toSorted((a, b) => place(a) - place(b));
}

/** The broker answers, with the directory that the replica was made in. */
function isBrokerOf({ state }: Place, { brokerId, directoryId }: ReplicaIdentity): boolean {
  const facts = state.broker(brokerId)?.facts;
  return facts !== undefined && facts.status !== 'down' && facts.directoryId === directoryId;
}

function reportOn({ state, topicId, known }: Place, brokerId: number): ReplicaReport | undefined {
  const key = partitionKey({ topicId, partition: known.partition });
  return state.broker(brokerId)?.replicas.get(key);
}
