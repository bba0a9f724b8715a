/**
 * Reassignments: moves of replicas that somebody asked for. Each change of them is one synchronous step in memory; the directory
 * keeps them for the next coordinator (directory-publisher.ts), and what carries them out is replica-changes.ts.
 */
import {
  cancelReassignment,
  createReassignment,
  isOpen,
  requireReassignment,
  settleReassignments,
} from '@partita/cluster';
import type { Move, OpenMove, Reassignment, ReassignmentReason } from '@partita/cluster';
import { REASSIGNMENT_TARGET_AWAY_MS_MAX } from '@partita/domain';
import type { Clock, ErrorReason, Random } from '@partita/domain';
import type { AuditLog } from '../directory/audit-log.ts';
import type { ClusterModel } from '../cluster-model.ts';
import type { Lease } from '../directory/lease.ts';

export interface ReassignmentsOptions {
  readonly model: ClusterModel;
  readonly lease: Pick<Lease, 'requireWritable' | 'anchoredToken'>;
  readonly audit: Pick<AuditLog, 'note'>;
  readonly clock: Clock;
  readonly random: Random;
}

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

export class Reassignments {
  readonly #options: ReassignmentsOptions;

  constructor(options: ReassignmentsOptions) {
    this.#options = options;
  }

  /**
   * Begins the moves, in one synchronous step. TOPIC_NOT_FOUND, PARTITION_NOT_FOUND, BROKER_NOT_FOUND, NOT_ENOUGH_BROKERS (a
   * broker is not up), REPLICA_NOT_FOUND (`from` has none), REASSIGNMENT_UNDER_WAY, LIMIT_EXCEEDED, INVALID_REQUEST, and what
   * `Lease.requireWritable` throws. The same request id answers the same reassignment.
   */
  create(request: ReassignmentRequest): Reassignment {
    const { model, lease, audit, clock, random } = this.#options;
    const { moves, reason, requestId = '', validateOnly = false, clientId = '' } = request;
    lease.requireWritable();
    const command = { moves, reason, requestId, nowMs: Math.round(clock.wallMs()), newId: () => random.uuid() };
    const decision = createReassignment(model.state, command);
    const { kind, reassignment } = decision.response;
    if (validateOnly || kind === 'existing') return reassignment;
    model.run(decision);
    audit.note('reassignment_begin', reassignment.reassignmentId, clientId, { reason, moves: moves.length });
    return reassignment;
  }

  /** Ends what is open of it: moves under way are undone or completed, whichever is next. REASSIGNMENT_NOT_FOUND. */
  cancel(reassignmentId: string, clientId = ''): Reassignment {
    const { model, lease, audit } = this.#options;
    lease.requireWritable();
    const before = requireReassignment(model.state, reassignmentId);
    const after = model.run(cancelReassignment(model.state, reassignmentId));
    if (after !== before) audit.note('reassignment_cancel', reassignmentId, clientId, outcomes(after));
    return after;
  }

  /** REASSIGNMENT_NOT_FOUND. */
  get(reassignmentId: string): Reassignment {
    return requireReassignment(this.#options.model.state, reassignmentId);
  }

  /** Newest first. */
  list(): readonly Reassignment[] {
    return [...this.#options.model.state.reassignments.all()].reverse();
  }

  /** Moves without an outcome, in the order in which they were asked for. */
  openMoves(): readonly OpenMove[] {
    return this.#options.model.state.reassignments.openMoves();
  }

  /** Notes which moves are done or hopeless by now, and forgets what ended long ago. */
  settle(): void {
    const { model, lease, audit } = this.#options;
    if (lease.anchoredToken() === undefined) return;
    for (const record of settleReassignments(model.state, (move) => this.#givenUp(move))) {
      model.apply([record]);
      if (record.type !== 'reassignment_put' || isOpen(record.reassignment)) continue;
      const { reassignmentId, reason } = record.reassignment;
      audit.note('reassignment_end', reassignmentId, '', { reason, ...outcomes(record.reassignment) });
    }
  }

  #givenUp({ toBrokerId }: Move): ErrorReason | undefined {
    const { model, clock } = this.#options;
    const facts = model.state.broker(toBrokerId)?.facts;
    if (facts?.status !== 'down') return undefined;
    return clock.wallMs() - facts.sinceMs > REASSIGNMENT_TARGET_AWAY_MS_MAX ? 'SERVICE_UNREACHABLE' : undefined;
  }
}

/** How many moves ended how. */
function outcomes({ moves }: Reassignment): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { outcome } of moves) counts[outcome] = (counts[outcome] ?? 0) + 1;
  return counts;
}
