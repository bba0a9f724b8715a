/**
 * Elections, the part that decides: which epoch to ask for, and whom the promises allow to lead. The coordinator sends,
 * the replicas persist; a lost or repeated message only costs another attempt.
 */
import { partitionKey } from '@partita/domain';
import type { ClusterPartition, ClusterState, ClusterTopic } from '../cluster-state.ts';
import { creationFate, isUnfinished } from '../topics/creation-fate.ts';
import { sameConfig, sameReplica } from '../inventory.ts';
import type { ReplicaConfig, ReplicaIdentity } from '../inventory.ts';
import { canElect, electionQuorum, liveReplica } from '../partition-status.ts';

/** One election attempt of one partition. */
export interface ElectionPlan {
  readonly topicId: string;
  readonly partition: number;
  /** One above all epochs known: a wrong guess is refused, tells the right one, and costs a retry. */
  readonly epoch: number;
  /** Every replica that answers, of every replica set known, suspect ones too: their promise stops an old leader. */
  readonly replicas: readonly ReplicaIdentity[];
  /** The newest known. */
  readonly config: ReplicaConfig;
  /** In-sync set as last published; decides between equal logs. */
  readonly inSync: readonly number[];
  /** Broker that an operator wants, before those; 0 = none. */
  readonly wanted: number;
  /** Brokers that are about to stop, behind all of those. */
  readonly leaving: readonly number[];
}

/** Partitions that lack a leader and have enough replicas for an election. */
export function planElections(
  state: ClusterState,
  wanted: (topicId: string, partition: number) => boolean,
): ElectionPlan[] {
  const plans: ElectionPlan[] = [];
  for (const topic of state.topics()) {
    if (topic.life === 'deleting' || !mayElect(state, topic)) continue;
    const { topicId } = topic.definition;
    for (const partition of topic.partitions) {
      if (partition.live || !wanted(topicId, partition.partition) || !canElect(state, topicId, partition)) continue;
      const plan = planElection(state, topicId, partition);
      if (plan !== undefined) plans.push(plan);
    }
  }
  return plans;
}

/** Before all replicas of a new topic are made it may still be given up, so nobody may write to it. */
function mayElect(state: ClusterState, topic: ClusterTopic): boolean {
  return !isUnfinished(topic) || creationFate(state, topic) === 'complete';
}

/** The next attempt, whether it can succeed or not; undefined while no replica set is known. */
export function planElection(
  state: ClusterState,
  topicId: string,
  known: ClusterPartition,
  wanted = 0,
): ElectionPlan | undefined {
  const { partition, config, inSync } = known;
  if (config === undefined) return undefined;
  const answering = knownReplicas(state, topicId, known).flatMap((identity) => {
    const live = liveReplica(state, topicId, partition, identity);
    return live === undefined ? [] : [{ identity, promisedEpoch: live.report.promisedEpoch }];
  });
  const epoch = 1 + Math.max(known.epochSeen, ...answering.map(({ promisedEpoch }) => promisedEpoch));
  const replicas = answering.map(({ identity }) => identity);
  const leaving = replicas
    .map(({ brokerId }) => brokerId)
    .filter((id) => state.broker(id)?.facts.status === 'draining');
  return { topicId, partition, epoch, replicas, config, inSync, wanted, leaving };
}

/**
 * All of the newest config and of those that brokers report: an older one may be the one in force, and a learner may be a
 * member of one that is under way.
 */
function knownReplicas(
  state: ClusterState,
  topicId: string,
  { partition, config }: ClusterPartition,
): ReplicaIdentity[] {
  const known = config === undefined ? [] : [...config.replicas, ...config.learners];
  const key = partitionKey({ topicId, partition });
  for (const broker of state.brokers()) {
    const reported = broker.replicas.get(key)?.config;
    if (reported === undefined || reported.configVersion === config?.configVersion) continue;
    const replicas = [...reported.replicas, ...reported.learners];
    known.push(...replicas.filter((replica) => !known.some((other) => sameReplica(other, replica))));
  }
  return known;
}

/** What one replica answered. */
export interface PromiseReply {
  readonly replica: ReplicaIdentity;
  readonly granted: boolean;
  readonly promisedEpoch: number;
  readonly lastEpoch: number;
  readonly logEndOffset: bigint;
  readonly suspect: boolean;
  /** Newest configs in its log, at most three. */
  readonly configs: readonly ReplicaConfig[];
  /** Newest config version that it knows to be committed; 0 = none but the one it was made with. */
  readonly configFloor: number;
}

export type ElectionOutcome =
  | {
      readonly kind: 'elected';
      readonly leader: ReplicaIdentity;
      /** As the leader reported its log: it refuses to lead if that no longer holds. */
      readonly lastEpoch: number;
      readonly logEndOffset: bigint;
      /** The newest known to be committed: the leader need not ask the set before it any more. */
      readonly config: ReplicaConfig;
      /** True = committed records may be missing in its log. */
      readonly unclean: boolean;
    }
  | { readonly kind: 'failed'; readonly why: string; readonly promisedEpoch: number };

/**
 * Whom the replies allow to lead. Every config that may be in force has to give its quorum: the newest one known to be
 * committed, and each newer one that a log holds. Only members count, and only members lead: of the committed one, or of
 * a newer one that their own log holds. One that lacks its record cannot hold what was committed by it, if it was.
 */
export function evaluatePromises(plan: ElectionPlan, replies: readonly PromiseReply[]): ElectionOutcome {
  const promisedEpoch = Math.max(0, ...replies.map((reply) => reply.promisedEpoch));
  const failed = (why: string): ElectionOutcome => ({ kind: 'failed', why, promisedEpoch });
  if (knowsLater(plan, replies)) return failed('a replica set was committed in a later epoch');
  const grants = replies.filter((reply) => reply.granted && !reply.suspect);
  const configs = configsInForce(plan.config, replies);
  const [committed] = configs ?? [];
  if (configs === undefined || committed === undefined)
    return failed('no reply holds the replica set that is known to be committed');
  for (const config of configs) {
    const needed = electionQuorum(config.replicas.length, config.minInSyncReplicas);
    const counted = config.replicas.filter((member) =>
      grants.some((grant) => sameReplica(grant.replica, member)),
    ).length;
    if (counted < needed) return failed(`${counted} of ${needed} promises needed by config ${config.configVersion}`);
  }
  const newest = configs.at(-1) ?? committed;
  const isMemberOf = (config: ReplicaConfig, { replica }: PromiseReply) =>
    config.replicas.some((member) => sameReplica(member, replica));
  const mayLead = (reply: PromiseReply) =>
    isMemberOf(committed, reply) ||
    configs.some((config) => isMemberOf(config, reply) && reply.configs.some((own) => sameConfig(own, config)));
  // Of equal logs rather one that stays a member whatever becomes of a change under way.
  const rank = ranking(plan, newest, (reply) => configs.every((config) => isMemberOf(config, reply)));
  const [best] = grants.filter(mayLead).toSorted((a, b) => compareLogs(rank, a, b));
  if (best === undefined) return failed('none of those that promised may lead');
  const { replica: leader, lastEpoch, logEndOffset } = best;
  return { kind: 'elected', leader, lastEpoch, logEndOffset, config: committed, unclean: false };
}

/**
 * True when a set is known to be committed only by somebody who has promised a later epoch, so perhaps in that one: a set
 * before it was in force until then, and its promises count in this attempt. Another attempt knows better.
 */
function knowsLater({ epoch, config }: ElectionPlan, replies: readonly PromiseReply[]): boolean {
  const floors = replies.filter(({ promisedEpoch }) => promisedEpoch <= epoch).map(({ configFloor }) => configFloor);
  const floor = Math.max(config.configVersion, ...floors);
  return replies.some(({ promisedEpoch, configFloor }) => promisedEpoch > epoch && configFloor > floor);
}

/**
 * The newest config known to be committed, then all newer ones that a log holds, oldest first; undefined when nobody has the
 * committed one. `known` is committed. Two leaders may each have appended a config of the same version: then both are here,
 * unless it is known which of them is committed.
 */
export function configsInForce(known: ReplicaConfig, replies: readonly PromiseReply[]): ReplicaConfig[] | undefined {
  const floor = Math.max(known.configVersion, ...replies.map((reply) => reply.configFloor));
  const isFloor = ({ configVersion }: ReplicaConfig) => configVersion === floor;
  // Whoever knows that this version is committed has the one that is.
  const sure = isFloor(known)
    ? known
    : replies.find((reply) => reply.configFloor === floor && reply.configs.some(isFloor))?.configs.find(isFloor);
  const seen = replies.flatMap((reply) => reply.configs);
  const committed = sure === undefined ? seen.filter(isFloor) : [sure];
  if (committed.length === 0) return undefined;
  const newer = seen.filter(({ configVersion }) => configVersion > floor);
  const inForce: ReplicaConfig[] = [];
  for (const config of [...committed, ...newer])
    if (!inForce.some((other) => sameConfig(other, config))) inForce.push(config);
  return inForce.sort((a, b) => a.configVersion - b.configVersion);
}

/** Negative when `a` should rather lead: the longer log of the newer epoch, among equals the lower rank. */
export function compareLogs(rank: (reply: PromiseReply) => number, a: PromiseReply, b: PromiseReply): number {
  if (a.lastEpoch !== b.lastEpoch) return b.lastEpoch - a.lastEpoch;
  if (a.logEndOffset !== b.logEndOffset) return a.logEndOffset > b.logEndOffset ? -1 : 1;
  return rank(a) - rank(b);
}

/** Among equal logs: who may lead, then who stays, then who is wanted, then who is in sync, then who is preferred. */
function ranking(
  { inSync, wanted, leaving }: ElectionPlan,
  { replicas }: ReplicaConfig,
  mayLead: (reply: PromiseReply) => boolean,
): (reply: PromiseReply) => number {
  return (reply) =>
    (mayLead(reply) ? 0 : 8 * replicas.length) +
    (leaving.includes(reply.replica.brokerId) ? 4 * replicas.length : 0) +
    (reply.replica.brokerId === wanted ? 0 : 2 * replicas.length) +
    (inSync.includes(reply.replica.brokerId) ? 0 : replicas.length) +
    replicas.findIndex((member) => sameReplica(member, reply.replica));
}
