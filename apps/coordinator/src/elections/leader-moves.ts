/**
 * Controlled moves of leaders (REPLICATION: "Controlled shutdown, leader move"): the leader queues appends until its successor
 * is level, then comes the ordinary election, in which that successor is preferred among equal logs. Many partitions share
 * the calls. Nothing else makes it safe: a move that is cut short is an election, or nothing.
 */
import type { ClusterPartition, ClusterState } from '@partita/cluster';
import type { Clock, TopicPartition } from '@partita/domain';
import type { LeadEntry } from '@partita/protocol';
import type { Logger } from '@partita/runtime';
import type { BrokerOrders } from '../broker-orders.ts';
import type { ClusterModel } from '../cluster-model.ts';
import type { LeaderMoveMeter } from '../coordinator-metrics.ts';
import type { Elections, Wish } from './elections.ts';
import { groupBy } from '../grouping.ts';
import type { Lease } from '../directory/lease.ts';

export interface LeaderMovesOptions {
  readonly model: ClusterModel;
  readonly lease: Pick<Lease, 'mayOrder'>;
  readonly orders: Pick<BrokerOrders, 'pause'>;
  readonly elections: Pick<Elections, 'holding' | 'electHeld'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: LeaderMoveMeter;
}

/** A partition that is to get another leader, the first of the candidates that is in sync and may lead. */
export interface LeaderMove extends TopicPartition {
  readonly candidateBrokerIds: readonly number[];
}

interface Planned extends Wish {
  readonly move: LeaderMove;
  readonly leaderId: number;
  readonly epoch: number;
  /** Replica of the wished leader. */
  readonly successorId: string;
}

/**
 * Partitions that pause at once share calls, and each waits for the slowest of them and for the syncs of all. As many as are
 * moved in this time, which the last ones tell; of very many at once more, or the last would wait for too long.
 */
const BATCH_MS_GOAL = 150;
const BATCH_COUNT_MIN = 8;
const BATCH_COUNT_MAX = 128;
const BATCHES_COUNT_MAX = 32;
const NO_NONCE = Buffer.alloc(0);

export class LeaderMoves {
  readonly #options: LeaderMovesOptions;
  #batchCount = BATCH_COUNT_MIN;

  constructor(options: LeaderMovesOptions) {
    this.#options = options;
  }

  /** Why the leader is not one of the candidates now, or undefined. Never rejects. */
  async move(at: TopicPartition, candidateBrokerIds: readonly number[]): Promise<string | undefined> {
    const move = { ...at, candidateBrokerIds };
    return (await this.moveAll([move])).get(move);
  }

  /** Why moves failed; absent for those that are done. Never rejects. */
  async moveAll(moves: readonly LeaderMove[]): Promise<ReadonlyMap<LeaderMove, string>> {
    const failures = new Map<LeaderMove, string>();
    const countMin = Math.ceil(moves.length / BATCHES_COUNT_MAX);
    for (let at = 0; at < moves.length;) {
      const some = moves.slice(at, at + Math.min(BATCH_COUNT_MAX, Math.max(this.#batchCount, countMin)));
      at += some.length;
      try {
        await this.#moveSome(some, failures);
      } catch (error) {
        this.#options.logger.error({ err: error }, 'moves of leaders failed');
        for (const move of some) if (!this.#isDone(move)) failures.set(move, 'the election failed, see the log');
      }
    }
    return failures;
  }

  async #moveSome(moves: readonly LeaderMove[], failures: Map<LeaderMove, string>): Promise<void> {
    const { model, lease, elections, clock, logger, meter } = this.#options;
    const planned = moves.flatMap((move) => {
      const plan = lease.mayOrder() ? planMove(model.state, move) : 'this coordinator is not the active one';
      if (typeof plan === 'string') failures.set(move, plan);
      return typeof plan === 'object' ? [plan] : [];
    });
    await elections.holding(planned, async (held) => {
      for (const { move } of planned.filter((plan) => !held.includes(plan)))
        failures.set(move, 'an election is under way');
      const beganMs = clock.monotonicMs();
      const level = await this.#pause(held);
      const pausedMs = clock.monotonicMs() - beganMs;
      await elections.electHeld(level);
      const tookMs = clock.monotonicMs() - beganMs;
      logger.debug({ partitions: held.length, level: level.length, pausedMs, tookMs }, 'moved leaders');
      for (const plan of held) {
        const why = level.includes(plan)
          ? this.#whyNot(plan)
          : 'the candidate did not draw level with the leader in time';
        if (why !== undefined) failures.set(plan.move, why);
        meter.ended(why === undefined, tookMs);
      }
      this.#tune(held.length, tookMs);
    });
  }

  /** Half or twice as many, by how long the last ones took. Few take no time, and tell nothing of more. */
  #tune(count: number, tookMs: number): void {
    if (tookMs > BATCH_MS_GOAL) this.#batchCount = Math.max(BATCH_COUNT_MIN, Math.floor(this.#batchCount / 2));
    else if (count >= this.#batchCount) this.#batchCount = Math.min(BATCH_COUNT_MAX, this.#batchCount * 2);
  }

  /** Those whose leaders pause, with their successors level. */
  async #pause(plans: readonly Planned[]): Promise<readonly Planned[]> {
    const { orders, logger } = this.#options;
    const calls = [...groupBy(plans, ({ leaderId }) => leaderId)].map(async ([leaderId, own]) => {
      try {
        const ends = await orders.pause(leaderId, own.map(pauseEntry));
        return own.filter((_, index) => (ends[index] ?? -1n) >= 0n);
      } catch (error) {
        logger.warn({ err: error, brokerId: leaderId, partitions: own.length }, 'a leader did not pause');
        return [];
      }
    });
    return (await Promise.all(calls)).flat();
  }

  #whyNot({ topicId, partition, wanted }: Planned): string | undefined {
    const known = this.#options.model.state.partition(topicId, partition);
    if (known?.live === true && known.leader === wanted) return undefined;
    return known?.live === true ? `broker ${known.leader} was elected` : 'nobody was elected';
  }

  #isDone({ topicId, partition, candidateBrokerIds }: LeaderMove): boolean {
    const known = this.#options.model.state.partition(topicId, partition);
    return known?.live === true && candidateBrokerIds.includes(known.leader);
  }
}

/** What to do; why it cannot be done; undefined when it is done already. */
function planMove(state: ClusterState, move: LeaderMove): Planned | string | undefined {
  const { topicId, partition, candidateBrokerIds } = move;
  const known = state.partition(topicId, partition);
  if (known?.live !== true) return 'nobody leads it';
  if (candidateBrokerIds.includes(known.leader)) return undefined;
  const ready = successors(state, known);
  const wanted = candidateBrokerIds.find((brokerId) => ready.includes(brokerId));
  const successor = known.config?.replicas.find(({ brokerId }) => brokerId === wanted);
  if (wanted === undefined || successor === undefined)
    return `none of brokers ${candidateBrokerIds.join(', ')} is up and in sync`;
  const { leader: leaderId, epoch } = known;
  return { topicId, partition, wanted, move, leaderId, epoch, successorId: successor.replicaId };
}

/** Brokers that can take over from the leader of a partition at once, in the order of its replicas. */
export function successors(state: ClusterState, { config, inSync, leader }: ClusterPartition): number[] {
  return (config?.replicas ?? [])
    .map(({ brokerId }) => brokerId)
    .filter((brokerId) => brokerId !== leader && inSync.includes(brokerId))
    .filter((brokerId) => state.broker(brokerId)?.facts.status === 'up');
}

function pauseEntry({ topicId, partition, epoch, successorId }: Planned): LeadEntry {
  return {
    topicId,
    partition,
    replicaId: successorId,
    epoch,
    nonce: NO_NONCE,
    lastEpoch: 0,
    logEndOffset: 0n,
    unclean: false,
    configFloor: 0,
  };
}
