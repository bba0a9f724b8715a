/** The wiring of what moves: leaders off and back to brokers, replicas as their sets change, and what decides on such moves. */
import { effectiveClusterSettings, isEmptied } from '@partita/cluster';
import type { Random } from '@partita/domain';
import type { StateLines } from '@partita/runtime';
import { balanceWork } from './balance/balance-work.ts';
import type { BalanceWork, BalanceWorkOptions } from './balance/balance-work.ts';
import type { BrokerOrders } from './broker-orders.ts';
import { DesertedLeaders } from './elections/deserted-leaders.ts';
import type { DesertedLeadersOptions } from './elections/deserted-leaders.ts';
import { LeaderDrain } from './elections/leader-drain.ts';
import { LeaderMoves } from './elections/leader-moves.ts';
import type { LeaderMovesOptions } from './elections/leader-moves.ts';
import { PreferredLeaders } from './elections/preferred-leaders.ts';
import type { ReassignmentMethodsOptions } from './replica-sets/reassignment-methods.ts';
import { Reassignments } from './replica-sets/reassignments.ts';
import { ReplicaChanges } from './replica-sets/replica-changes.ts';
import { ReplicaSteps } from './replica-sets/replica-steps.ts';

export interface MoveWorkOptions
  extends Omit<BalanceWorkOptions, 'reassignments' | 'lease' | 'model' | 'clock' | 'logger'>, LeaderMovesOptions {
  readonly elections: LeaderMovesOptions['elections'] & DesertedLeadersOptions['elections'];
  readonly lease: BalanceWorkOptions['lease'];
  readonly orders: BrokerOrders;
  readonly random: Random;
  readonly lines: StateLines;
}

export interface MoveWork {
  readonly leaderMoves: LeaderMoves;
  readonly balance: BalanceWork;
  readonly changes: ReplicaChanges;
  readonly moving: ReassignmentMethodsOptions;
  /** Called each RECONCILE_MS. */
  run(): void;
}

export function moveWork(options: MoveWorkOptions): MoveWork {
  const { model, publisher } = options;
  const leaderMoves = new LeaderMoves(options);
  const mayLead = (brokerId: number) => !isEmptied(model.state, brokerId);
  const isOn = () => effectiveClusterSettings(model.state.settings()).autoBalance;
  const drain = new LeaderDrain({ ...options, moves: leaderMoves, mayLead });
  const preferred = new PreferredLeaders({ ...options, moves: leaderMoves, isOn, mayLead });
  const deserted = new DesertedLeaders(options);
  const reassignments = new Reassignments(options);
  const steps = new ReplicaSteps({ ...options, moveLeader: (at, brokerIds) => leaderMoves.move(at, brokerIds) });
  const changes = new ReplicaChanges({ ...options, steps, reassignments });
  const balance = balanceWork({ ...options, reassignments });
  return {
    leaderMoves,
    balance,
    changes,
    moving: { model, reassignments, publisher },
    run() {
      for (const part of [drain, preferred, deserted, changes, balance]) part.run();
    },
  };
}
