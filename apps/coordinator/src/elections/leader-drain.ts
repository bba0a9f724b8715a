/**
 * Leaders leave brokers that are about to stop or are being emptied, as long as others can lead (REPLICATION: "Controlled shutdown, leader move").
 * What cannot be moved now is tried again with the next look, for as long as the broker is there.
 */
import type { ClusterPartition } from '@partita/cluster';
import { partitionKey } from '@partita/domain';
import type { ClusterModel } from '../cluster-model.ts';
import { successors } from './leader-moves.ts';
import type { LeaderMove, LeaderMoves } from './leader-moves.ts';
import type { Lease } from '../directory/lease.ts';

export interface LeaderDrainOptions {
  readonly model: ClusterModel;
  readonly lease: Pick<Lease, 'mayOrder'>;
  readonly moves: LeaderMoves;
  /** False for a broker that is to lead nothing: it is being emptied. */
  readonly mayLead: (brokerId: number) => boolean;
}

export class LeaderDrain {
  readonly #options: LeaderDrainOptions;
  /** Brokers whose leaders are on the move. */
  readonly #busy = new Set<number>();

  constructor(options: LeaderDrainOptions) {
    this.#options = options;
    options.model.onChange(({ brokerIds, settings }) => {
      if (brokerIds.size > 0 || settings) this.run();
    });
  }

  /** Moves what draining brokers lead. Call it now and then: what fails is not tried again by itself. */
  run(): void {
    const { model, lease } = this.#options;
    if (!lease.mayOrder()) return;
    for (const { facts } of model.state.brokers()) {
      const leaves = facts.status === 'draining' || (facts.status === 'up' && !this.#options.mayLead(facts.brokerId));
      if (leaves && !this.#busy.has(facts.brokerId)) void this.#drain(facts.brokerId);
    }
  }

  /** Never rejects. Again while it makes progress: a partition may come to lead there meanwhile. */
  async #drain(brokerId: number): Promise<void> {
    this.#busy.add(brokerId);
    let moves = this.#movesOff(brokerId);
    while (moves.length > 0) {
      const { size } = await this.#options.moves.moveAll(moves);
      moves = size < moves.length ? this.#movesOff(brokerId) : [];
    }
    this.#busy.delete(brokerId);
  }

  /** Brokers that are being emptied take over only from one that stops. */
  #candidates(known: ClusterPartition, drained: number): number[] {
    const { model, mayLead } = this.#options;
    const ready = successors(model.state, known);
    const free = ready.filter((brokerId) => mayLead(brokerId));
    const stops = model.state.broker(drained)?.facts.status === 'draining';
    return free.length > 0 || !stops ? free : ready;
  }

  /** Evenly over those that can take over; among equals the earlier replica. */
  #movesOff(drained: number): LeaderMove[] {
    const { state } = this.#options.model;
    const leaderCounts = new Map<number, number>();
    const count = (brokerId: number): number => leaderCounts.get(brokerId) ?? 0;
    for (const { partitions } of state.topics())
      for (const { live, leader } of partitions) if (live) leaderCounts.set(leader, count(leader) + 1);
    const moves = new Map<string, LeaderMove>();
    for (const { definition, partitions } of state.topics()) {
      const { topicId } = definition;
      for (const known of partitions) {
        if (!known.live || known.leader !== drained) continue;
        const candidateBrokerIds = this.#candidates(known, drained).sort((a, b) => count(a) - count(b));
        const [first] = candidateBrokerIds;
        if (first === undefined) continue;
        leaderCounts.set(first, count(first) + 1);
        const at = { topicId, partition: known.partition };
        moves.set(partitionKey(at), { ...at, candidateBrokerIds });
      }
    }
    return [...moves.values()];
  }
}
