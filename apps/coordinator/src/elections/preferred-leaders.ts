/**
 * Leaders go back to the first replica of their partition once its broker has been there for a while, so that leaders are as
 * even after a rolling restart as replicas were placed. A few at a time, by controlled moves, and only while the cluster
 * balances itself.
 */
import { partitionKey, PREFERRED_LEADER_WAIT_MS } from '@partita/domain';
import type { Clock } from '@partita/domain';
import type { ClusterModel } from '../cluster-model.ts';
import { successors } from './leader-moves.ts';
import type { LeaderMove, LeaderMoves } from './leader-moves.ts';
import type { Lease } from '../directory/lease.ts';

export interface PreferredLeadersOptions {
  readonly model: ClusterModel;
  readonly lease: Pick<Lease, 'mayOrder'>;
  readonly moves: Pick<LeaderMoves, 'moveAll'>;
  readonly clock: Clock;
  /** False while the cluster is not to balance itself. */
  readonly isOn: () => boolean;
  /** False for a broker that is to lead nothing: it is being emptied. */
  readonly mayLead: (brokerId: number) => boolean;
}

/** Partitions moved back at once. */
const AT_ONCE_COUNT = 16;

export class PreferredLeaders {
  readonly #options: PreferredLeadersOptions;
  /** Since when the preferred leader could lead, by partitionKey; monotonic milliseconds. */
  #readySinceMs = new Map<string, number>();
  #isMoving = false;

  constructor(options: PreferredLeadersOptions) {
    this.#options = options;
  }

  /** Looks who is ready, and moves the next few. Call it now and then. */
  run(): void {
    const { lease, isOn, clock } = this.#options;
    if (!lease.mayOrder() || !isOn()) {
      this.#readySinceMs.clear();
      return;
    }
    const nowMs = clock.monotonicMs();
    const readySinceMs = new Map<string, number>();
    const due: LeaderMove[] = [];
    for (const move of this.#unpreferred()) {
      const key = partitionKey(move);
      const sinceMs = this.#readySinceMs.get(key) ?? nowMs;
      readySinceMs.set(key, sinceMs);
      if (nowMs - sinceMs >= PREFERRED_LEADER_WAIT_MS) due.push(move);
    }
    this.#readySinceMs = readySinceMs;
    if (due.length > 0 && !this.#isMoving) void this.#move(due.slice(0, AT_ONCE_COUNT));
  }

  /** Never rejects. What fails waits as long as it did before. */
  async #move(moves: readonly LeaderMove[]): Promise<void> {
    this.#isMoving = true;
    const failures = await this.#options.moves.moveAll(moves);
    for (const move of failures.keys()) this.#readySinceMs.delete(partitionKey(move));
    this.#isMoving = false;
  }

  /** Partitions that another than their first replica leads, which could. */
  *#unpreferred(): Iterable<LeaderMove> {
    const { model, mayLead } = this.#options;
    for (const { definition, life, partitions } of model.state.topics()) {
      if (life !== 'active') continue;
      for (const known of partitions) {
        const preferred = known.config?.replicas[0]?.brokerId;
        if (!known.live || preferred === undefined || preferred === known.leader || !mayLead(preferred)) continue;
        if (!successors(model.state, known).includes(preferred)) continue;
        yield { topicId: definition.topicId, partition: known.partition, candidateBrokerIds: [preferred] };
      }
    }
  }
}
