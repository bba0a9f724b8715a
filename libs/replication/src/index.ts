/** One partition's replica: promises, leadership, following, commitment. PROTOCOL.md beside src/ tells the rules. */
export { inSyncIds } from './append-rules.ts';
export { belongsToSome, countsInSome, currentConfig, isRemoved } from './config-in-force.ts';
export type { ConfigOutcome, ConfigRefusal } from './config-messages.ts';
export { divergence, lastEpoch } from './epoch-history.ts';
export type { EpochStart } from './epoch-history.ts';
export { FollowerSender } from './follower-sender.ts';
export type {
  FollowerSenderOptions,
  OutgoingAppend,
  OutgoingBatches,
  SenderSource,
  SenderStream,
} from './follower-sender.ts';
export type {
  AppendInput,
  AppendOutcome,
  Claim,
  ControlContent,
  DurableMeta,
  JoinOutcome,
  LeadOutcome,
  LogFacts,
  PlannedAppend,
  PromiseOutcome,
  ReplicaChange,
  ReplicaEffect,
  ReplicaInput,
  ReplicatedBatch,
  Stamp,
} from './messages.ts';
export { PartitionRunner } from './partition-runner.ts';
export type { JournalPort, LeaderLinkPort, PartitionLogPort, PartitionObserver } from './partition-runner.ts';
export { recoveredState } from './partition-state.ts';
export type { LeaderRole, PartitionState } from './partition-state.ts';
export { belongsTo, configFault, isMember } from './replica-config.ts';
export type { FlushMode, ReplicaConfig, ReplicaIdentity } from './replica-config.ts';
