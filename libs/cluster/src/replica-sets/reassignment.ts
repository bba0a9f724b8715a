/**
 * Wishes that replicas move, as facts: which broker shall hold a replica instead of which. A wish decides nothing about records;
 * lost, it leaves a half-made move behind, which is tidied up as any set that is not as its topic wants it.
 */
import type { ErrorReason } from '@partita/domain';

/** One replica of one partition. */
export interface Move {
  readonly topicId: string;
  readonly partition: number;
  /** Broker that gives its replica up; 0 = one is added. */
  readonly fromBrokerId: number;
  /** Broker that gets one; 0 = one is removed. The same as `fromBrokerId` = it becomes the preferred leader. */
  readonly toBrokerId: number;
}

export type MoveOutcome = 'open' | 'succeeded' | 'failed' | 'cancelled';

export interface OpenMove extends Move {
  readonly reassignmentId: string;
  readonly reason: ReassignmentReason;
}

export interface AskedMove extends Move {
  readonly outcome: MoveOutcome;
  /** Why it failed; empty unless it did. */
  readonly errorReason: ErrorReason | '';
}

/** Who wants it: somebody who asked for these moves, the balancer, or the emptying of a broker. */
export type ReassignmentReason = 'operator' | 'balance' | 'drain';

/** Moves that were asked for at once. Never empty. */
export interface Reassignment {
  readonly reassignmentId: string;
  /** Grows with each change; of two of one id the higher holds. */
  readonly version: number;
  readonly reason: ReassignmentReason;
  /** Request id of its creation, or empty. */
  readonly requestId: string;
  /** Milliseconds UTC. */
  readonly createTimeMs: number;
  readonly moves: readonly AskedMove[];
}

/** True while a move of it has no outcome. */
export function isOpen({ moves }: Reassignment): boolean {
  return moves.some(({ outcome }) => outcome === 'open');
}
