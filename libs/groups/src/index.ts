/** Consumer groups without I/O: commands make records, records make state. */
export { decide } from './decide.ts';
export type { Decided } from './decision.ts';
export { apply, assignmentOf, compareText, groupPhase, memberEpochOf, ShardDraft } from './group-state.ts';
export type { Group, GroupOffset, GroupPhase, GroupSource, HeldPartition, ShardState } from './group-state.ts';
export { isUnsettled } from './reconcile.ts';
export { ASSIGNORS } from './assignors/registry.ts';
export { expiredOffsets, isAbandoned } from './expiry.ts';
export { GROUP_EPOCH_FIRST, recordKey } from './records.ts';
export type { AssignmentValue, GroupRecord, GroupValue, MemberValue, OffsetValue } from './records.ts';
export type {
  CatalogTopic,
  CommitCommand,
  CommitRefusal,
  ExpireCommand,
  ExpiredOffset,
  FenceCommand,
  GroupCommand,
  GroupResponse,
  JoinCommand,
  LeaveCommand,
  OffsetCommit,
  RejoinCommand,
  ReleaseCommand,
  ResetCommand,
  StartOffsetsCommand,
  SubscribeCommand,
  TopicCatalog,
} from './commands.ts';
export { assignSticky } from './assignors/sticky.ts';
export type { Assignor, AssignorInput, Candidate } from './assignors/assignor.ts';
export { loading, ShardCore } from './shard/shard-core.ts';
export type { ShardAppend, ShardPhase } from './shard/shard-core.ts';
export type { RecordForm, ShardAnswer } from './shard/shard-batch.ts';
