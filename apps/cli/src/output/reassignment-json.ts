/** Moves of replicas as the command line prints them. */
import { ReassignmentState } from '@partita/protocol';
import type { Reassignment } from '@partita/protocol';
import { enumWord, timeText } from './json.ts';
import { count, table } from './table.ts';

export function describeReassignment({
  reassignmentId,
  moves,
  state,
  createTime,
  copiedBytes,
  totalBytes,
}: Reassignment) {
  return {
    reassignmentId: reassignmentId === '' ? undefined : reassignmentId,
    state: stateWord(state),
    createTime: timeText(createTime),
    copiedBytes,
    totalBytes,
    moves: moves.map(({ partition, fromBrokerId, toBrokerId, state: moveState, errorReason }) => ({
      topic: partition?.topic ?? '',
      partition: partition?.partition ?? 0,
      fromBrokerId,
      toBrokerId,
      state: stateWord(moveState),
      reason: errorReason === '' ? undefined : errorReason,
    })),
  };
}

export type ReassignmentView = ReturnType<typeof describeReassignment>;

export function stateWord(state: ReassignmentState): string {
  return enumWord(ReassignmentState, 'REASSIGNMENT_STATE_', state);
}

export function isOpen({ state }: Reassignment): boolean {
  return (
    state === ReassignmentState.REASSIGNMENT_STATE_PENDING || state === ReassignmentState.REASSIGNMENT_STATE_RUNNING
  );
}

export function movesTable({ moves }: ReassignmentView, colors: boolean): string {
  const rows = moves.map(({ topic, partition, fromBrokerId, toBrokerId, state, reason }) => [
    `${topic}/${partition}`,
    fromBrokerId === toBrokerId ? 'leader' : fromBrokerId === 0 ? '-' : String(fromBrokerId),
    toBrokerId === 0 ? '-' : String(toBrokerId),
    reason === undefined ? state : `${state}: ${reason}`,
  ]);
  return table(['PARTITION', 'FROM', 'TO', 'STATE'], rows, colors);
}

/** `3 of 9 moves done, 12.4 of 45.0 MiB copied` */
export function progressText({ moves, copiedBytes, totalBytes }: ReassignmentView): string {
  const ended = moves.filter(({ state }) => state !== 'pending' && state !== 'running');
  return `${count(ended.length)} of ${count(moves.length)} moves done, ${mebibytes(copiedBytes)} of ${mebibytes(totalBytes)} MiB copied`;
}

export function mebibytes(bytes: bigint): string {
  return (Number(bytes) / 1024 ** 2).toFixed(1);
}
