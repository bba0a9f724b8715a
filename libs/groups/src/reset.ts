/**
 * An operator's reset, the only way by which a committed offset falls. The group's epoch grows, and a moved partition that
 * is held is given to its holder anew at that epoch: commits that were on their way are fenced, and the holder starts
 * again at the new offset. What is being given up stays so, and has to be released at the new epoch.
 */
import { partitionKey, PartitaError } from '@partita/domain';
import type { ResetCommand } from './commands.ts';
import { decided, Decision } from './decision.ts';
import type { Decided } from './decision.ts';
import { isRevoking } from './group-state.ts';
import type { Group } from './group-state.ts';
import { groupNotFound } from './offsets.ts';
import { assign, keepEpoch, raiseEpoch } from './reconcile.ts';

export function reset(before: Group | undefined, command: ResetCommand): Decided {
  if (before?.value === undefined) throw groupNotFound(command.group);
  for (const move of command.moves) {
    if (move.nextOffset >= 0n) continue;
    throw new PartitaError('OFFSET_OUT_OF_RANGE', `an offset is at least 0; ${move.nextOffset} is not`, {
      topic: move.topic,
      partition: String(move.partition.partition),
      offset: String(move.nextOffset),
      start: '0',
      end: '',
    });
  }
  if (command.moves.length === 0) return decided([]);
  const decision = new Decision(command.group, before);
  const { group } = decision;
  const resetEpoch = raiseEpoch(decision);
  const holders = new Set<string>();
  for (const { topic, partition, nextOffset } of command.moves) {
    const commitTimeMs = BigInt(command.wallMs);
    const value = { nextOffset, recordEpoch: 0, metadata: '', commitTimeMs, topic, resetEpoch };
    decision.emit({ kind: 'offset', group: group.id, partition, value });
    const held = group.held.get(partitionKey(partition));
    if (held === undefined) continue;
    const { memberId, revoking, targetMemberId } = held;
    assign(decision, partition, { memberId, assignmentEpoch: resetEpoch, revoking, targetMemberId });
    holders.add(memberId);
  }
  // A holder that has to give something up has reached this epoch by its new assignment, and keeps it when that goes.
  for (const memberId of holders) if (isRevoking(group, memberId)) keepEpoch(decision, memberId);
  return decided(decision.records);
}
