/**
 * The topic `__groups` and who owns its shards. The topic is made when the first consumer-group instance is there and a
 * broker can hold it. The assignment is a hint: ownership is the claim in the log, so a wrong hint costs time only.
 */
import { assignShards } from '@partita/cluster';
import { PartitaError, REPLICATION_FACTOR_DEFAULT, SESSION_SILENCE_MS_MAX } from '@partita/domain';
import type { Clock } from '@partita/domain';
import type { ShardAssignment } from '@partita/protocol';
import type { Logger } from '@partita/runtime';
import type { ClusterModel } from '../cluster-model.ts';
import type { Lease } from '../directory/lease.ts';
import type { TopicCreations } from '../topics/topic-creation.ts';

export const GROUPS_TOPIC = '__groups';
/** Shards of all groups: enough to spread over more instances than a cluster has. Never changed once the topic is there. */
export const GROUP_SHARD_COUNT = 16;
/**
 * The topic has as many replicas as brokers are there when it is made, at most REPLICATION_FACTOR_DEFAULT. Brokers that
 * start together with it get this long after the last one that came, and this long in all.
 */
const BROKERS_SETTLE_MS = 1500;
const BROKERS_WAIT_MS_MAX = 10_000;
/** Between two tries to make the topic: a refusal changes the model, which would try again at once. */
const CREATION_PAUSE_MS = 2000;

export interface GroupShardsOptions {
  readonly model: ClusterModel;
  readonly lease: Lease;
  readonly creations: TopicCreations;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly expectedBrokers: number;
  /** True = the cluster was said to have so many brokers; else there may be more. */
  readonly knowsBrokers: boolean;
  /** The assignment is new, or this coordinator has begun to assign. */
  readonly onAssigned: () => void;
}

export class GroupShards {
  readonly #options: GroupShardsOptions;
  #creating = false;
  /** Monotonic clock; a creation that was refused is not tried again before. */
  #notBeforeMs = 0;
  /** Since when this coordinator assigns; instances of before have a while to come back to it. */
  #assigningSinceMs: number | undefined;
  #sent = '';
  /** Brokers that are up, as last seen while the topic was wanted, and when that was new; monotonic clock. */
  #brokersSeen: { readonly count: number; readonly sinceMs: number; readonly firstMs: number } | undefined;

  constructor(options: GroupShardsOptions) {
    this.#options = options;
    options.model.onChange((change) => {
      if (change.instances || change.shards || change.topicIds.size > 0) this.reconcile();
    });
    options.lease.onChange(() => this.reconcile());
  }

  /** What instances are told; undefined while another coordinator tells them. */
  assignment(): ShardAssignment | undefined {
    const { model, lease } = this.#options;
    if (!lease.mayOrder()) return undefined;
    const shardCount = this.#shardCount();
    const shards = [...Array(shardCount).keys()].map((shard) => {
      const instance = model.state.instance(model.state.shards().get(shard) ?? '');
      return { shard, instanceId: instance?.instanceId ?? '', address: instance?.address ?? '' };
    });
    return { shardCount, shards };
  }

  /** An instance of before this coordinator's time says what it owns: it keeps that. */
  owned(instanceId: string, shards: readonly number[]): void {
    const { model } = this.#options;
    for (const shard of shards) {
      const known = model.state.shards().get(shard);
      if (known === instanceId || (known !== undefined && model.state.instance(known) !== undefined)) continue;
      model.apply([{ type: 'shard_assigned', shard, instanceId }]);
    }
  }

  /** Makes the topic and assigns shards, as far as that is due and possible now. */
  reconcile(): void {
    const { model, lease, clock, onAssigned } = this.#options;
    if (!lease.mayOrder()) {
      this.#assigningSinceMs = undefined;
      this.#sent = '';
      return;
    }
    this.#assigningSinceMs ??= clock.monotonicMs();
    const inGrace = clock.monotonicMs() - this.#assigningSinceMs < SESSION_SILENCE_MS_MAX;
    this.#createTopic();
    model.apply(assignShards(model.state, this.#shardCount(), (instanceId) => inGrace && this.#mayReturn(instanceId)));
    const now = JSON.stringify(this.assignment());
    if (now === this.#sent) return;
    this.#sent = now;
    onAssigned();
  }

  /** Not when another listens where it did: that one has taken its place. */
  #mayReturn(instanceId: string): boolean {
    const { formerAddresses, state } = this.#options.model;
    const address = formerAddresses.get(instanceId) ?? '';
    return address === '' || ![...state.instances()].some((other) => other.address === address);
  }

  #shardCount(): number {
    const topic = this.#options.model.state.topicByName(GROUPS_TOPIC);
    return topic?.life === 'active' ? topic.partitions.length : 0;
  }

  #createTopic(): void {
    const { model, lease, creations, logger, clock } = this.#options;
    const wanted = [...model.state.instances()].some(({ service }) => service === 'consumer_group');
    if (!wanted || this.#creating || model.state.topicByName(GROUPS_TOPIC) !== undefined) return;
    if (!this.#brokersAreThere()) return;
    if (lease.anchoredToken() === undefined || clock.monotonicMs() < this.#notBeforeMs) return;
    this.#creating = true;
    const settings = { cleanupPolicy: 'compact' } as const;
    const request = {
      name: GROUPS_TOPIC,
      partitionCount: GROUP_SHARD_COUNT,
      replicationFactor: 0,
      settings,
      requestId: '',
      internal: true,
    };
    creations
      .create(request)
      .catch((error: unknown) => {
        this.#notBeforeMs = clock.monotonicMs() + CREATION_PAUSE_MS;
        const fields = { err: error, topic: GROUPS_TOPIC };
        if (error instanceof PartitaError)
          logger.warn(fields, 'the topic of consumer groups could not be created; trying again');
        else logger.error(fields, 'creating the topic of consumer groups failed');
      })
      .finally(() => {
        this.#creating = false;
      });
  }

  /** True when enough brokers are up for the replicas that the topic shall have, or no more are to be waited for. */
  #brokersAreThere(): boolean {
    const { model, clock, expectedBrokers, knowsBrokers } = this.#options;
    const count = [...model.state.brokers()].filter(({ facts }) => facts.status === 'up').length;
    if (count === 0) return false;
    if (count >= REPLICATION_FACTOR_DEFAULT) return true;
    const nowMs = clock.monotonicMs();
    if (this.#brokersSeen?.count !== count)
      this.#brokersSeen = { count, sinceMs: nowMs, firstMs: this.#brokersSeen?.firstMs ?? nowMs };
    if (nowMs - this.#brokersSeen.firstMs >= BROKERS_WAIT_MS_MAX) return true;
    if (count < expectedBrokers || model.state.missingBrokerIds().length > 0) return false;
    return knowsBrokers || nowMs - this.#brokersSeen.sinceMs >= BROKERS_SETTLE_MS;
  }
}
