/**
 * The topic of consumer groups gets more replicas as brokers join, until it has REPLICATION_FACTOR_DEFAULT: whoever began with
 * one broker would keep a single copy of all groups otherwise. Its min in-sync replicas are a majority, as for any topic that
 * says nothing else.
 */
import { placementBrokers } from '@partita/cluster';
import { PartitaError, REPLICATION_FACTOR_DEFAULT } from '@partita/domain';
import type { Clock } from '@partita/domain';
import type { Logger } from '@partita/runtime';
import type { ClusterModel } from '../cluster-model.ts';
import { GROUPS_TOPIC } from '../sessions/group-shards.ts';
import type { Lease } from '../directory/lease.ts';
import type { TopicUpdates } from './topic-updates.ts';

export interface GroupReplicasOptions {
  readonly model: ClusterModel;
  readonly lease: Lease;
  readonly updates: TopicUpdates;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Brokers that come and go at once are not counted on. */
const BROKERS_SETTLE_MS = 3000;

export class GroupReplicas {
  readonly #options: GroupReplicasOptions;
  /** So many brokers may take replicas, and since when; monotonic clock. */
  #seen = { count: 0, sinceMs: 0 };
  #raising = false;

  constructor(options: GroupReplicasOptions) {
    this.#options = options;
  }

  reconcile(): void {
    const { model, lease, clock } = this.#options;
    const topic = model.state.topicByName(GROUPS_TOPIC);
    if (this.#raising || topic?.life !== 'active' || lease.anchoredToken() === undefined) return;
    const { replicationFactor } = topic.definition;
    if (replicationFactor >= REPLICATION_FACTOR_DEFAULT) return;
    const count = placementBrokers(model.state).length;
    const nowMs = clock.monotonicMs();
    if (this.#seen.count !== count) this.#seen = { count, sinceMs: nowMs };
    const wanted = Math.min(REPLICATION_FACTOR_DEFAULT, count);
    if (wanted > replicationFactor && nowMs - this.#seen.sinceMs >= BROKERS_SETTLE_MS) void this.#raise(wanted);
  }

  async #raise(replicationFactorAfter: number): Promise<void> {
    const { updates, logger } = this.#options;
    const settingsAfter = <Settings>(before: Settings) => before;
    this.#raising = true;
    try {
      await updates.update({ name: GROUPS_TOPIC, etag: '', settingsAfter, replicationFactorAfter, internal: true });
      logger.info(
        { topic: GROUPS_TOPIC, replicas: replicationFactorAfter },
        'the topic of consumer groups gets more replicas',
      );
    } catch (error) {
      // Whatever it was, it is looked at again once the brokers have been the same for a while.
      this.#seen = { count: 0, sinceMs: 0 };
      if (error instanceof PartitaError)
        logger.debug({ err: error }, 'the topic of consumer groups keeps its replicas for now');
      else logger.error({ err: error }, 'raising the replicas of the topic of consumer groups failed');
    } finally {
      this.#raising = false;
    }
  }
}
