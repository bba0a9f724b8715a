/**
 * Whether a known leader still leads. A broker that is not heard may only be cut off from this coordinator: as long as its
 * followers say that it sends to them, it commits, and taking its leaderships would stop writes for nothing (what Raft calls
 * pre-vote). Nothing here guards a record, promises do; it keeps partitions from changing leaders needlessly, and from waiting
 * for one that is gone.
 */
import { partitionKey } from '@partita/domain';
import type { TopicPartition } from '@partita/domain';
import type { ClusterPartition, ClusterState } from '../cluster-state.ts';
import type { ReplicaReport } from '../inventory.ts';
import { electionQuorum, liveReplica } from '../partition-status.ts';
import type { ClusterRecord } from '../records.ts';

/**
 * True when so many followers report a live stream from the last known leader that it can commit. False for a min ISR of 1:
 * there the leader alone commits, nobody else can tell whether it does, and no election succeeds before it is back.
 */
export function canStillCommit(state: ClusterState, topicId: string, known: ClusterPartition): boolean {
  const { partition, config, leader } = known;
  if (config === undefined || leader === 0 || config.minInSyncReplicas < 2) return false;
  const following = config.replicas.filter(
    (identity) =>
      identity.brokerId !== leader && liveReplica(state, topicId, partition, identity)?.report.followingId === leader,
  );
  return following.length >= config.minInSyncReplicas - 1;
}

/**
 * What broker sessions and reports say by now about known leaders, of the partitions given or of all: a silent one that cannot
 * commit is lost, one that can lead goes on, and one whose own report proves that it has stepped down is lost at once. Due
 * after each report and each session that begins or ends.
 */
export function reviseLeaders(state: ClusterState, among?: Iterable<TopicPartition>): ClusterRecord[] {
  const records: ClusterRecord[] = [];
  const revise = (topicId: string, known: ClusterPartition) => {
    const record = reviseLeader(state, topicId, known);
    if (record !== undefined) records.push(record);
  };
  if (among === undefined) {
    for (const { definition, partitions } of state.topics())
      for (const known of partitions) revise(definition.topicId, known);
    return records;
  }
  for (const { topicId, partition } of among) {
    const known = state.partition(topicId, partition);
    if (known !== undefined) revise(topicId, known);
  }
  return records;
}

function reviseLeader(state: ClusterState, topicId: string, known: ClusterPartition): ClusterRecord | undefined {
  const { partition, leader, epoch, live } = known;
  if (leader === 0) return undefined;
  const broker = state.broker(leader);
  if (broker === undefined || broker.facts.status === 'down') {
    if (live === canStillCommit(state, topicId, known)) return undefined;
    if (live) return { type: 'leader_lost', topicId, partition };
    const { inSync, inSyncVersion } = known;
    return { type: 'leader_known', topicId, partition, epoch, leader, inSync, inSyncVersion, live: true };
  }
  const report = broker.replicas.get(partitionKey({ topicId, partition }));
  return live && report !== undefined && hasSteppedDown(report, epoch)
    ? { type: 'leader_lost', topicId, partition }
    : undefined;
}

/**
 * A leader's report that it does not lead may be older than the election that it crossed. Not so when its log holds a batch of
 * the epoch, which only its leader begins: then it led before. Unless it has promised more: then somebody else is electing,
 * and two coordinators that both hurry would depose each other's leaders for ever.
 */
function hasSteppedDown({ leadingEpoch, promisedEpoch, lastEpoch }: ReplicaReport, epoch: number): boolean {
  return leadingEpoch < epoch && lastEpoch >= epoch && promisedEpoch <= epoch;
}

/**
 * Leaders that count as live while their own broker's last report says that they do not lead, proof or not, or while they
 * are overtaken. Reports may be older than an election that they crossed, or tell of one that is under way: the caller acts on
 * what stays so.
 */
export function resignedLeaders(
  state: ClusterState,
  brokerId: number,
): { readonly topicId: string; readonly partition: number; readonly epoch: number }[] {
  const broker = state.broker(brokerId);
  if (broker === undefined) return [];
  return [...broker.replicas.values()].flatMap(({ topicId, partition, leadingEpoch }) => {
    const known = state.partition(topicId, partition);
    if (known?.live !== true || known.leader !== brokerId) return [];
    const isDoubtful = leadingEpoch < known.epoch || isOvertaken(state, topicId, known);
    return isDoubtful ? [{ topicId, partition, epoch: known.epoch }] : [];
  });
}

/**
 * Leaders that are heard here, and by too few of their followers to commit: cut off from them alone. Named only where the
 * others can elect one of themselves without it, and commit then. Followers need a moment to find a new leader: the caller
 * acts on what stays so.
 */
export function desertedLeaders(
  state: ClusterState,
): { readonly topicId: string; readonly partition: number; readonly leader: number }[] {
  return [...state.topics()].flatMap(({ definition: { topicId }, partitions }) =>
    partitions
      .filter((known) => isDeserted(state, topicId, known))
      .map(({ partition, leader }) => ({ topicId, partition, leader })),
  );
}

function isDeserted(state: ClusterState, topicId: string, known: ClusterPartition): boolean {
  const { partition, config, leader, live } = known;
  if (!live || config === undefined || config.minInSyncReplicas < 2) return false;
  if ((state.broker(leader)?.facts.status ?? 'down') === 'down' || canStillCommit(state, topicId, known)) return false;
  const others = config.replicas.filter(
    (identity) => identity.brokerId !== leader && liveReplica(state, topicId, partition, identity) !== undefined,
  );
  const needed = Math.max(electionQuorum(config.replicas.length, config.minInSyncReplicas), config.minInSyncReplicas);
  return others.length >= needed;
}

/**
 * A member has promised a higher epoch, to an election that came to nothing or whose leader is gone, and never follows this
 * leader again; without it the leader cannot commit. It may never hear of that, so an election has to come.
 */
function isOvertaken(state: ClusterState, topicId: string, known: ClusterPartition): boolean {
  const { partition, config, epoch } = known;
  if (config === undefined || config.minInSyncReplicas < 2) return false;
  const hasPromisedMore = config.replicas.some(
    (identity) => (liveReplica(state, topicId, partition, identity)?.report.promisedEpoch ?? 0) > epoch,
  );
  return hasPromisedMore && !canStillCommit(state, topicId, known);
}
