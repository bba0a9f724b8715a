/**
 * Which brokers are to be emptied: those that operators name, and while the cluster balances itself those that have been down for
 * long. How long is counted by this process's own monotonic clock, so no wall clock that is set makes a broker look dead.
 */
import { effectiveClusterSettings } from '@partita/cluster';
import type { BalanceRoles } from '@partita/cluster';
import type { Clock } from '@partita/domain';
import type { ClusterModel } from '../cluster-model.ts';

export interface RoleWatchOptions {
  readonly model: ClusterModel;
  readonly clock: Clock;
  /** 0 = a broker that is down is waited for, however long. */
  readonly replaceAfterMs: number;
}

export class RoleWatch {
  readonly #options: RoleWatchOptions;
  readonly #downSinceMs = new Map<number, number>();

  constructor(options: RoleWatchOptions) {
    this.#options = options;
  }

  /** Notes who is down. Called each RECONCILE_MS. */
  observe(): void {
    const { model, clock } = this.#options;
    const nowMs = clock.monotonicMs();
    const down = new Set(model.state.missingBrokerIds());
    for (const id of down) if (!this.#downSinceMs.has(id)) this.#downSinceMs.set(id, nowMs);
    for (const id of [...this.#downSinceMs.keys()]) if (!down.has(id)) this.#downSinceMs.delete(id);
  }

  roles(): BalanceRoles {
    const { model } = this.#options;
    const settings = model.state.settings();
    const draining = new Set(settings.drainingBrokerIds);
    if (effectiveClusterSettings(settings).autoBalance) for (const id of this.#lost()) draining.add(id);
    return { drainingBrokerIds: draining, leaderlessBrokerIds: new Set(settings.leaderlessBrokerIds) };
  }

  /** Down for so long that others take over. Not when it is half of all: then it is more likely this side that is cut off. */
  #lost(): number[] {
    const { model, clock, replaceAfterMs } = this.#options;
    if (replaceAfterMs === 0) return [];
    const lost = [...this.#downSinceMs].filter(([, sinceMs]) => clock.monotonicMs() - sinceMs >= replaceAfterMs);
    return 2 * lost.length < [...model.state.brokers()].length ? lost.map(([id]) => id) : [];
  }
}
