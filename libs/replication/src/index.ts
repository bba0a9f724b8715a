/** One partition's replica: promises, leadership, commitment. PROTOCOL.md beside src/ tells the rules. */
export { divergence, lastEpoch } from './epoch-history.ts';
export type {
  AppendOutcome,
  Claim,
  DurableMeta,
  LeadOutcome,
  PromiseOutcome,
  ReplicaInput,
  Stamp,
} from './messages.ts';
export { PartitionRunner } from './partition-runner.ts';
export type { PartitionLogPort } from './partition-runner.ts';
export { currentConfig, recoveredState } from './partition-state.ts';
export type { LeaderRole, PartitionState } from './partition-state.ts';
export { configFault, isMember } from './replica-config.ts';
export type { FlushMode, ReplicaConfig } from './replica-config.ts';
