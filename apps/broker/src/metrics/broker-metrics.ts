/**
 * What the broker counts and measures on its way: appends, fetches, writes, replication. Once for each batch, write or
 * message, never for a record. Without metrics nothing is recorded, and no clock is read.
 */
import { batchBytesAt, recordCountAt } from '@partita/batch';
import type { Clock, ErrorReason } from '@partita/domain';
import type { LogWrite } from '@partita/log';
import { Acks } from '@partita/protocol';
import type { AppendEntry } from '@partita/protocol';
import type { CounterSeries, HistogramSeries, Metrics } from '@partita/telemetry';
import type { KnownTopic } from '../topic-settings.ts';

/** Counters of one topic in one direction. */
interface TopicSeries {
  readonly records: CounterSeries;
  readonly bytes: CounterSeries;
  readonly batches: CounterSeries;
}

const TOPIC_COUNTERS = {
  append: {
    records: 'partita.broker.append.records',
    bytes: 'partita.broker.append.bytes',
    batches: 'partita.broker.append.batches',
  },
  fetch: {
    records: 'partita.broker.fetch.records',
    bytes: 'partita.broker.fetch.bytes',
    batches: 'partita.broker.fetch.batches',
  },
} as const;
type Direction = keyof typeof TOPIC_COUNTERS;

export class BrokerMetrics {
  readonly isOn: boolean;
  /** Bytes of batches that came from leaders, and that went to followers. */
  readonly received: CounterSeries;
  readonly sent: CounterSeries;
  /** Batches that were known from before. */
  readonly duplicates: CounterSeries;
  readonly #metrics: Metrics;
  readonly #clock: Clock;
  readonly #appends: Readonly<Record<'all' | 'leader', HistogramSeries>>;
  readonly #writes: Readonly<Record<'fsync' | 'os', HistogramSeries>>;
  readonly #writeBatches: HistogramSeries;
  readonly #writeBytes: HistogramSeries;
  readonly #errors = new Map<ErrorReason, CounterSeries>();
  /** An entry lives as long as this version of the topic. */
  readonly #topics: Readonly<Record<Direction, WeakMap<KnownTopic, TopicSeries>>>;

  constructor(metrics: Metrics, clock: Clock) {
    this.#metrics = metrics;
    this.#clock = clock;
    this.isOn = metrics.isOn;
    this.received = metrics.counter('partita.broker.replication.received.bytes').of();
    this.sent = metrics.counter('partita.broker.replication.sent.bytes').of();
    this.duplicates = metrics.counter('partita.broker.sequence.duplicates').of();
    const appends = metrics.histogram('partita.broker.append.duration');
    this.#appends = { all: appends.of({ acks: 'all' }), leader: appends.of({ acks: 'leader' }) };
    const writes = metrics.histogram('partita.broker.log.write.duration');
    this.#writes = { fsync: writes.of({ flush: 'fsync' }), os: writes.of({ flush: 'os' }) };
    this.#writeBatches = metrics.histogram('partita.broker.log.write.batches').of();
    this.#writeBytes = metrics.histogram('partita.broker.log.write.bytes').of();
    this.#topics = { append: new WeakMap(), fetch: new WeakMap() };
  }

  /** The time, to be given back when what begins now is over. */
  now(): number {
    return this.isOn ? this.#clock.monotonicMs() : 0;
  }

  /** An entry was acknowledged. */
  appended(topic: KnownTopic, entry: AppendEntry, recordCount: number, beganAtMs: number): void {
    if (!this.isOn) return;
    const { records, bytes, batches } = this.#topic('append', topic);
    records.add(recordCount);
    bytes.add(entry.recordBatches.length);
    batches.add(1);
    const duration = this.#appends[entry.acks === Acks.ACKS_LEADER ? 'leader' : 'all'];
    duration.record((this.#clock.monotonicMs() - beganAtMs) / 1000);
  }

  /** An entry was answered with an error. */
  refused(reason: ErrorReason): void {
    if (!this.isOn) return;
    let series = this.#errors.get(reason);
    if (series === undefined) {
      series = this.#metrics.counter('partita.broker.append.errors').of({ reason });
      this.#errors.set(reason, series);
    }
    series.add(1);
  }

  /** A reader was given whole batches. */
  fetched(topic: KnownTopic, bytes: Uint8Array): void {
    if (!this.isOn || bytes.length === 0) return;
    let recordCount = 0;
    let batchCount = 0;
    for (let at = 0; at < bytes.length; at += batchBytesAt(bytes, at)) {
      recordCount += recordCountAt(bytes, at);
      batchCount += 1;
    }
    const series = this.#topic('fetch', topic);
    series.records.add(recordCount);
    series.bytes.add(bytes.length);
    series.batches.add(batchCount);
  }

  /** A write of a log has ended. */
  readonly written = ({ ms, batchCount, bytes, isSynced }: LogWrite): void => {
    this.#writes[isSynced ? 'fsync' : 'os'].record(ms / 1000);
    this.#writeBatches.record(batchCount);
    this.#writeBytes.record(bytes);
  };

  #topic(direction: Direction, topic: KnownTopic): TopicSeries {
    const known = this.#topics[direction].get(topic);
    if (known !== undefined) return known;
    const labels = { topic: topic.config.topic };
    const names = TOPIC_COUNTERS[direction];
    const series = {
      records: this.#metrics.counter(names.records).of(labels),
      bytes: this.#metrics.counter(names.bytes).of(labels),
      batches: this.#metrics.counter(names.batches).of(labels),
    };
    this.#topics[direction].set(topic, series);
    return series;
  }
}
