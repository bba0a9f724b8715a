/**
 * The quotas as this broker enforces them on what it leads: those of the cluster, and the rates in the settings of topics. A
 * topic's rate is divided by partitions: a leader lets through the share of those that it leads. A client's is divided evenly
 * between the brokers. Traffic of gateways and of the consumer-group service is held by topic only: they hold their clients.
 */
import { QuotaBrake, QuotaBuckets, QuotaGate } from '@partita/domain';
import type { Clock, Quota, QuotaKind, QuotaMeter, QuotaUse, Timers } from '@partita/domain';
import { BrokerState } from '@partita/protocol';
import type { TopicConfig } from '@partita/protocol';
import { quotaFromMessage } from '@partita/rpc';
import type { DirectoryView } from '@partita/rpc/server';
import type { Metrics } from '@partita/telemetry';
import type { HeardSettings } from './cluster-settings.ts';
import type { BrokerConfig } from './config.ts';
import type { PartitionRegistry } from './partition-registry.ts';

export interface LeaderQuotasOptions {
  readonly config: Pick<BrokerConfig, 'id'>;
  readonly directory: DirectoryView;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly metrics: Metrics;
  readonly registry: Pick<PartitionRegistry, 'topics'>;
}

/** The rates in a topic's settings; undefined = none. */
type TopicRates = Pick<Quota, 'produceBytesPerSecond' | 'consumeBytesPerSecond'>;

export class LeaderQuotas {
  /** Where what is produced passes. */
  readonly gate: QuotaGate;
  /** What holds readers. */
  readonly brake: QuotaBrake;
  readonly #options: LeaderQuotasOptions;
  readonly #produce: QuotaBuckets;
  readonly #consume: QuotaBuckets;
  #cluster: readonly Quota[] = [];
  /** By topic name; only those that have any. */
  #topics: ReadonlyMap<string, TopicRates> = new Map();

  constructor(options: LeaderQuotasOptions) {
    this.#options = options;
    const { clock, timers, metrics } = options;
    const share = (kind: QuotaKind, topic: string) => this.#share(kind, topic);
    this.#produce = new QuotaBuckets('produce', share);
    this.#consume = new QuotaBuckets('consume', share);
    this.gate = new QuotaGate({ buckets: this.#produce, clock, timers, meter: meterOf(metrics, 'produce') });
    this.brake = new QuotaBrake(this.#consume, clock, meterOf(metrics, 'consume'));
  }

  /** Takes up the quotas of the cluster, as far as they are heard of. */
  hear({ quotas }: Pick<HeardSettings, 'quotas'>): void {
    this.#cluster = quotas.map(quotaFromMessage);
    this.#apply();
  }

  /** A topic is new here, or has other settings. */
  noteTopic(config: TopicConfig): void {
    if (ratesOf(config) !== undefined || this.#topics.has(config.topic)) this.#apply();
  }

  #apply(): void {
    const rated = new Map<string, TopicRates>();
    for (const { config } of this.#options.registry.topics) {
      const rates = ratesOf(config);
      if (rates !== undefined) rated.set(config.topic, rates);
    }
    this.#topics = rated;
    const quotas = this.#cluster.filter(({ clientId, topic }) => clientId !== '' || !this.#topics.has(topic));
    for (const [topic, own] of this.#topics) {
      const other = this.#cluster.find((quota) => quota.clientId === '' && quota.topic === topic);
      quotas.push({
        clientId: '',
        topic,
        produceBytesPerSecond: lower(own.produceBytesPerSecond, other?.produceBytesPerSecond),
        consumeBytesPerSecond: lower(own.consumeBytesPerSecond, other?.consumeBytesPerSecond),
      });
    }
    this.#produce.set(quotas);
    this.#consume.set(quotas);
  }

  /** Never 0: the directory may not know yet what this broker leads. */
  #share(kind: QuotaKind, topic: string): number {
    const { directory, config } = this.#options;
    if (kind === 'client' || kind === 'default') {
      const { brokers } = directory.snapshot();
      return 1 / Math.max(1, brokers.filter(({ state }) => state === BrokerState.BROKER_STATE_UP).length);
    }
    const partitions = directory.routeOf(topic)?.partitions ?? [];
    const led = partitions.filter(({ leaderId }) => leaderId === config.id).length;
    return Math.max(1, led) / Math.max(1, partitions.length);
  }
}

function ratesOf({ settings }: TopicConfig): TopicRates | undefined {
  const produceBytesPerSecond = rateOf(settings?.produceBytesPerSecond);
  const consumeBytesPerSecond = rateOf(settings?.consumeBytesPerSecond);
  if (produceBytesPerSecond === undefined && consumeBytesPerSecond === undefined) return undefined;
  return { produceBytesPerSecond, consumeBytesPerSecond };
}

function rateOf(setting: bigint | undefined): number | undefined {
  return setting === undefined || setting < 0n ? undefined : Number(setting);
}

function lower(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined ? other : Math.min(one, other ?? Infinity);
}

function meterOf(metrics: Metrics, use: QuotaUse): QuotaMeter {
  const throttled = metrics.histogram('partita.broker.throttle.duration');
  const refused = metrics.counter('partita.broker.throttle.refused');
  return {
    delayed: (quota, _topic, delayMs) => throttled.of({ use, quota }).record(delayMs / 1000),
    refused: (quota, topic) => refused.of({ quota, topic }).add(1),
  };
}
