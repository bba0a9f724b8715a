/**
 * Elections, the part that decides: which epoch to ask for, and whom the promises allow to lead. The coordinator sends,
 * the replicas persist; a lost or repeated message only costs another attempt.
 */
import { partitionKey } from '@partita/domain';
import type { ClusterPartition, ClusterState, ClusterTopic } from './cluster-state.ts';
import { creationFate } from './creation-fate.ts';
import { sameReplica } from './inventory.ts';
import type { ReplicaConfig, ReplicaIdentity } from './inventory.ts';
import { canElect, electionQuorum, liveReplica } from './partition-status.ts';

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
  return topic.life !== 'creating' || creationFate(state, topic) === 'complete';
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
  const answering = knownMembers(state, topicId, known).flatMap((identity) => {
    const live = liveReplica(state, topicId, partition, identity);
    return live === undefined ? [] : [{ identity, promisedEpoch: live.report.promisedEpoch }];
  });
  const epoch = 1 + Math.max(known.epochSeen, ...answering.map(({ promisedEpoch }) => promisedEpoch));
  return { topicId, partition, epoch, replicas: answering.map(({ identity }) => identity), config, inSync, wanted };
}

/** Members of the newest config and of those that brokers report: an older one may be the one in force. */
function knownMembers(
  state: ClusterState,
  topicId: string,
  { partition, config }: ClusterPartition,
): ReplicaIdentity[] {
  const members = [...(config?.replicas ?? [])];
  const key = partitionKey({ topicId, partition });
  for (const broker of state.brokers()) {
    const reported = broker.replicas.get(key)?.config;
    if (reported === undefined || reported.configVersion === config?.configVersion) continue;
    members.push(...reported.replicas.filter((member) => !members.some((other) => sameReplica(other, member))));
  }
  return members;
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
      readonly config: ReplicaConfig;
      /** True = committed records may be missing in its log. */
      readonly unclean: boolean;
    }
  | { readonly kind: 'failed'; readonly why: string; readonly promisedEpoch: number };

/**
 * Whom the replies allow to lead. Every config that may be in force has to give its quorum: the newest one known to be
 * committed, and each newer one that a log holds.
 */
export function evaluatePromises(plan: ElectionPlan, replies: readonly PromiseReply[]): ElectionOutcome {
  const promisedEpoch = Math.max(0, ...replies.map((reply) => reply.promisedEpoch));
  const failed = (why: string): ElectionOutcome => ({ kind: 'failed', why, promisedEpoch });
  const grants = replies.filter((reply) => reply.granted && !reply.suspect);
  const configs = configsInForce(plan.config, replies);
  if (configs === undefined) return failed('no reply holds the replica set that is known to be committed');
  for (const config of configs) {
    const needed = electionQuorum(config.replicas.length, config.minInSyncReplicas);
    const counted = config.replicas.filter((member) =>
      grants.some((grant) => sameReplica(grant.replica, member)),
    ).length;
    if (counted < needed) return failed(`${counted} of ${needed} promises needed by config ${config.configVersion}`);
  }
  const memberOf = (reply: PromiseReply) => (config: ReplicaConfig) =>
    config.replicas.some((member) => sameReplica(member, reply.replica));
  const newest = configs.at(-1) ?? plan.config;
  const rank = ranking(plan, newest, (reply) => configs.every(memberOf(reply)));
  const [best] = grants.filter((reply) => configs.some(memberOf(reply))).toSorted((a, b) => compareLogs(rank, a, b));
  // The best log of any set in force, or none: a shorter one may lack records that were committed in that set.
  if (best === undefined || !configs.every(memberOf(best)))
    return failed('the best log is not of a replica that is in every replica set in force');
  const { replica: leader, lastEpoch, logEndOffset } = best;
  return { kind: 'elected', leader, lastEpoch, logEndOffset, config: newest, unclean: false };
}

/** Oldest first; undefined when the committed one is not among those known. */
export function configsInForce(known: ReplicaConfig, replies: readonly PromiseReply[]): ReplicaConfig[] | undefined {
  const byVersion = new Map([[known.configVersion, known]]);
  for (const config of replies.flatMap((reply) => reply.configs)) byVersion.set(config.configVersion, config);
  const floor = Math.max(0, ...replies.map((reply) => reply.configFloor));
  if (floor > 0 && !byVersion.has(floor)) return undefined;
  const inForce = [...byVersion.values()].filter((config) => config.configVersion >= floor);
  return inForce.sort((a, b) => a.configVersion - b.configVersion);
}

/** Negative when `a` should rather lead: the longer log of the newer epoch, among equals the lower rank. */
export function compareLogs(rank: (reply: PromiseReply) => number, a: PromiseReply, b: PromiseReply): number {
  if (a.lastEpoch !== b.lastEpoch) return b.lastEpoch - a.lastEpoch;
  if (a.logEndOffset !== b.logEndOffset) return a.logEndOffset > b.logEndOffset ? -1 : 1;
  return rank(a) - rank(b);
}

/** Among equal logs: who may lead before who may not, then who is wanted, then who is in sync, then who is preferred. */
function ranking(
  { inSync, wanted }: ElectionPlan,
  { replicas }: ReplicaConfig,
  mayLead: (reply: PromiseReply) => boolean,
): (reply: PromiseReply) => number {
  return (reply) =>
    (mayLead(reply) ? 0 : 4 * replicas.length) +
    (reply.replica.brokerId === wanted ? 0 : 2 * replicas.length) +
    (inSync.includes(reply.replica.brokerId) ? 0 : replicas.length) +
    replicas.findIndex((member) => sameReplica(member, reply.replica));
}
