/** Reassignments: moves of replicas that somebody asked for. What carries them out is replica-changes.ts. */
import type { Move, OpenMove, Reassignment, ReassignmentReason } from '@partita/cluster';

/** What is asked for. */
export interface ReassignmentRequest {
  readonly moves: readonly Move[];
  /** Makes a retry safe; empty = none. */
  readonly requestId?: string;
  readonly reason: ReassignmentReason;
  /** True = checks everything and begins nothing. */
  readonly validateOnly?: boolean;
  /** Who asks, for the audit trail; empty = the coordinator by itself. */
  readonly clientId?: string;
}

export interface ReassignmentsFace {
  /**
   * Begins the moves, in one synchronous step. TOPIC_NOT_FOUND, PARTITION_NOT_FOUND, BROKER_NOT_FOUND, NOT_ENOUGH_BROKERS (a
   * broker is not up), REPLICA_NOT_FOUND (`from` has none), REASSIGNMENT_UNDER_WAY, LIMIT_EXCEEDED, INVALID_REQUEST, and what
   * `Lease.requireWritable` throws. The same request id answers the same reassignment.
   */
  create(request: ReassignmentRequest): Reassignment;
  /** Ends what is open of it: moves under way are undone or completed, whichever is next. REASSIGNMENT_NOT_FOUND. */
  cancel(reassignmentId: string, clientId?: string): Reassignment;
  /** REASSIGNMENT_NOT_FOUND. */
  get(reassignmentId: string): Reassignment;
  /** Newest first. */
  list(): readonly Reassignment[];
  /** Moves without an outcome, in the order in which they were asked for. */
  openMoves(): readonly OpenMove[];
}
