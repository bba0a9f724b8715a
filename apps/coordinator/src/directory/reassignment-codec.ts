/**
 * Reassignments as the directory keeps them: JSON text, version 1,
 *
 *   {"v":1,"version":3,"reason":"operator","requestId":"","createTimeMs":…,"moves":[["<topic id>",0,1,4,"open",""],…]}
 *
 * a move being topic, partition, broker that gives up, broker that gets, outcome, reason of a failure. What cannot be read is
 * passed over: a move that nobody knows of is tidied up.
 */
import type { AskedMove, Reassignment } from '@partita/cluster';
import { ERROR_REASONS, isUuid, REASSIGNMENT_MOVE_COUNT_MAX } from '@partita/domain';
import type { MovesEntry } from '@partita/metadata-store';

const OUTCOMES = ['open', 'succeeded', 'failed', 'cancelled'] as const;
const REASONS = ['operator', 'balance', 'drain'] as const;

export function movesEntry(reassignment: Reassignment): MovesEntry {
  const { reassignmentId, version, reason, requestId, createTimeMs } = reassignment;
  const moves = reassignment.moves.map((move) => [
    move.topicId,
    move.partition,
    move.fromBrokerId,
    move.toBrokerId,
    move.outcome,
    move.errorReason,
  ]);
  return { reassignmentId, value: JSON.stringify({ v: 1, version, reason, requestId, createTimeMs, moves }) };
}

/** Undefined for what this file did not write. */
export function storedReassignment({ reassignmentId, value }: MovesEntry): Reassignment | undefined {
  const json = parsed(value);
  if (json?.['v'] !== 1) return undefined;
  const { version, requestId, createTimeMs } = json;
  const reason = REASONS.find((known) => known === json['reason']);
  const moves = storedMoves(json['moves']);
  if (reason === undefined || moves === undefined || typeof requestId !== 'string') return undefined;
  if (!isWhole(version, 1) || !isWhole(createTimeMs, 0)) return undefined;
  return { reassignmentId, version, reason, requestId, createTimeMs, moves };
}

function storedMoves(value: unknown): AskedMove[] | undefined {
  if (!Array.isArray(value) || value.length === 0 || value.length > REASSIGNMENT_MOVE_COUNT_MAX) return undefined;
  const moves = value.flatMap((move: unknown) => storedMove(move) ?? []);
  return moves.length === value.length ? moves : undefined;
}

function storedMove(value: unknown): AskedMove | undefined {
  if (!Array.isArray(value)) return undefined;
  const [topicId, partition, fromBrokerId, toBrokerId, told, why] = value as unknown[];
  const outcome = OUTCOMES.find((known) => known === told);
  if (typeof topicId !== 'string' || !isUuid(topicId) || outcome === undefined) return undefined;
  if (!isWhole(partition, 0) || !isWhole(fromBrokerId, 0) || !isWhole(toBrokerId, 0)) return undefined;
  const errorReason = ERROR_REASONS.find((known) => known === why) ?? '';
  return { topicId, partition, fromBrokerId, toBrokerId, outcome, errorReason };
}

function parsed(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const json: unknown = JSON.parse(text);
    return typeof json === 'object' && json !== null ? (json as Readonly<Record<string, unknown>>) : undefined;
  } catch {
    return undefined;
  }
}

function isWhole(value: unknown, min: number): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= min;
}
