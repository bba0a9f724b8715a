/** Consumer-group services with a bug put in on purpose, for the checker of group histories to find. */
import type { PlantedBug } from './planted-bugs.ts';

export const PLANTED_GROUP_BUGS: readonly PlantedBug[] = [
  {
    name: 'commits are taken whatever epoch they come with',
    file: 'libs/groups/src/offsets.ts',
    from: 'if (holds && held.assignmentEpoch <= entry.epoch && entry.epoch <= reached) return undefined;',
    to: 'if (!holds || held !== undefined) return undefined;',
    anomaly: 'zombie-commit',
  },
  {
    name: 'a partition goes to its next holder before the one before has released it',
    file: 'libs/groups/src/reconcile.ts',
    from: 'assign(decision, partition, { memberId, assignmentEpoch, revoking: true, targetMemberId: next });',
    to: `const epoch = decision.group.value?.groupEpoch ?? assignmentEpoch;
         assign(decision, partition, { memberId: next || memberId, assignmentEpoch: epoch, revoking: false, targetMemberId: '' });`,
    anomaly: 'double-owner',
  },
  {
    name: 'a new holder begins at the end instead of where the group is',
    file: 'apps/consumer-group/src/start-offsets.ts',
    from: 'if (nextOffset >= result.logStartOffset) return { ...found, offset: nextOffset, wasReset };',
    to: 'if (nextOffset >= result.logStartOffset) return { ...found, offset: highWatermark, wasReset };',
    anomaly: 'group-skip',
  },
  {
    name: 'the owner serves before its replay has ended',
    file: 'apps/consumer-group/src/shard-owner.ts',
    from: 'log.replay(claim.offset, (record)',
    to: 'log.replay(claim.offset - claim.offset / 3n, (record)',
    // By what lay in the part that was not replayed: a position, or the group itself.
    anomaly: 'reset-surprise or group-unseen',
  },
  {
    name: 'commits are acknowledged, and never written',
    file: 'libs/groups/src/shard/shard-batch.ts',
    from: 'if (input !== undefined) lastOfKey.set(key, input);',
    to: "if (input !== undefined && record.kind !== 'offset') lastOfKey.set(key, input);",
    anomaly: 'commit-regress',
  },
];
