/** The cluster as records and state, without I/O: topics, brokers, leadership, group shards, the coordinator's lease. */
export { ClusterState } from './cluster-state.ts';
export type { ClusterBroker, ClusterPartition, ClusterTopic } from './cluster-state.ts';
export type { BrokerFacts, BrokerStatus, ClusterRecord, Decision, InstanceFacts, TopicLife } from './records.ts';
export type {
  BrokerRegistration,
  ReplicaConfig,
  ReplicaIdentity,
  ReplicaReport,
  Tombstone,
  TopicDefinition,
} from './inventory.ts';
export type { KeyRange } from './topics/key-ranges.ts';
export { CODECS, effectiveSettings, settingKeyOf, settingsInForce } from './topics/topic-settings.ts';
export type { Codec, EffectiveSetting, SettingValues, TopicSettings } from './topics/topic-settings.ts';
export {
  createTopic,
  deleteTopic,
  deletionQuorum,
  storedByEnough,
  topicEtag,
  updateQuorum,
  updateTopic,
  visibleTopic,
} from './topics/topic-commands.ts';
export type {
  CreateTopicCommand,
  CreateTopicResponse,
  DeleteTopicCommand,
  UpdateTopicCommand,
} from './topics/topic-commands.ts';
export { planBalance } from './balance/balance-plan.ts';
export type { BalancePlan, MoveReason, PlannedLeader, PlannedMove, StuckReplica } from './balance/balance-plan.ts';
export type { BalanceRoles } from './balance/balance-board.ts';
export {
  changeClusterSettings,
  effectiveClusterSettings,
  isEmptied,
  mergeClusterSettings,
  readmitBrokers,
  removeBroker,
  replicasOn,
  requireKnownBroker,
  setEmptying,
} from './cluster-settings.ts';
export type { ClusterSettings, EmptyingScope, SettingsChange } from './cluster-settings.ts';
export { changeQuota, quotaKey } from './quotas.ts';
export { assignShards } from './topics/group-shards.ts';
export {
  checkBrokerId,
  recordLeader,
  registerBroker,
  repeatReports,
  reportInSync,
  reportReplicas,
  setBrokerStatus,
} from './session-commands.ts';
export type { InSyncReport, LedPartition } from './session-commands.ts';
export { creationFate, isUnfinished } from './topics/creation-fate.ts';
export { desertedLeaders, resignedLeaders, reviseLeaders } from './elections/leadership.ts';
export {
  buryTopic,
  mergeInventory,
  mergeNewTopic,
  mergeStoredPartition,
  mergeStoredTopic,
  mergeTombstone,
} from './rebuild.ts';
export type { StoredPartition, StoredTopic } from './rebuild.ts';
export { canElect, liveReplica, partitionStatus } from './partition-status.ts';
export type { PartitionStatus } from './partition-status.ts';
export { configsInForce, evaluatePromises, planElection, planElections } from './elections/leader-election.ts';
export { forceLeader, recoverBestLog } from './elections/unclean-election.ts';
export { isOpen } from './replica-sets/reassignment.ts';
export {
  cancelReassignment,
  createReassignment,
  requireReassignment,
  settleReassignments,
} from './replica-sets/reassignment-commands.ts';
export type { CreateReassignmentCommand, CreateReassignmentResponse } from './replica-sets/reassignment-commands.ts';
export { wantedReplicas } from './replica-sets/wanted-replicas.ts';
export type { PlacementBroker } from './topics/placement.ts';
export { mayTakeReplicas, placementBrokers } from './topics/placement-brokers.ts';
export type {
  AskedMove,
  Move,
  MoveOutcome,
  OpenMove,
  Reassignment,
  ReassignmentReason,
} from './replica-sets/reassignment.ts';
export { planReplicaChange } from './replica-sets/replica-change.ts';
export type { ReplicaStep, WantedReplicas } from './replica-sets/replica-change.ts';
export { ReplicaProgress } from './replica-sets/replica-progress.ts';
export type { ElectionOutcome, ElectionPlan, PromiseReply } from './elections/leader-election.ts';
export { LEASE_RENEW_MS, LEASE_TTL_MS, LeaseState } from './lease-state.ts';
export type { LeaseStatus, OtherHolder } from './lease-state.ts';
