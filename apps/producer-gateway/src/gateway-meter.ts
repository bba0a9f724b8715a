/** The gateway's instruments. Per request some additions; nothing, not even the clock is read, when nobody measures. */
import type { AppendOutcome } from '@partita/client';
import { asPartitaError, METRIC_TOPIC_COUNT_MAX, PartitaError } from '@partita/domain';
import type { ErrorReason, QuotaMeter } from '@partita/domain';
import type { CounterSeries, HistogramSeries, Metrics } from '@partita/telemetry';
import type { ShedBy } from './in-flight.ts';

const MS_PER_S = 1000;

/** How a request came: a call, a frame of records, a frame with a batch. */
export type ProduceForm = 'unary' | 'stream' | 'batch';

interface TopicSeries {
  readonly records: CounterSeries;
  readonly bytes: CounterSeries;
}

export class GatewayMeter {
  readonly #metrics: Metrics;
  readonly #durations: Readonly<Record<ProduceForm, HistogramSeries>>;
  readonly #batchRecords: HistogramSeries;
  readonly #batchBytes: HistogramSeries;
  readonly #topics = new Map<string, TopicSeries>();
  /** What quotas do. */
  readonly throttle: QuotaMeter;

  constructor(metrics: Metrics) {
    this.#metrics = metrics;
    const durations = metrics.histogram('partita.gateway.produce.duration');
    this.#durations = {
      unary: durations.of({ form: 'unary' }),
      stream: durations.of({ form: 'stream' }),
      batch: durations.of({ form: 'batch' }),
    };
    this.#batchRecords = metrics.histogram('partita.gateway.batch.records').of();
    this.#batchBytes = metrics.histogram('partita.gateway.batch.bytes').of();
    const throttled = metrics.histogram('partita.gateway.throttle.duration');
    const refused = metrics.counter('partita.gateway.throttle.refused');
    this.throttle = {
      delayed: (quota, _topic, delayMs) => throttled.of({ quota }).record(delayMs / MS_PER_S),
      refused: (quota, topic) => refused.of({ quota, topic }).add(1),
    };
  }

  /** When a request came, for `answered`: monotonic milliseconds. */
  began(): number {
    return this.#metrics.isOn ? performance.now() : 0;
  }

  /** A request is answered, with results or an error. */
  answered(form: ProduceForm, beganMs: number): void {
    if (this.#metrics.isOn) this.#durations[form].record((performance.now() - beganMs) / MS_PER_S);
  }

  /** A frame with a batch is answered. */
  batchAnswered(topic: string, bytes: number, outcome: AppendOutcome, beganMs: number): void {
    this.answered('batch', beganMs);
    if (outcome instanceof PartitaError) this.refused(outcome);
    else this.acknowledged(topic, outcome.recordCount, bytes);
  }

  acknowledged(topic: string, recordCount: number, bytes: number): void {
    if (!this.#metrics.isOn) return;
    const { records, bytes: sum } = this.#seriesOf(topic);
    records.add(recordCount);
    sum.add(bytes);
  }

  /** A producer is told of an error: for its request, or for some of its records. */
  refused(error: unknown): void {
    this.#metrics
      .counter('partita.gateway.produce.errors')
      .of({ reason: asPartitaError(error).reason })
      .add(1);
  }

  batchBuilt(recordCount: number, bytes: number): void {
    this.#batchRecords.record(recordCount);
    this.#batchBytes.record(bytes);
  }

  shed(limit: ShedBy): void {
    this.#metrics.counter('partita.gateway.shed').of({ limit }).add(1);
  }

  triedAgain(reason: ErrorReason): void {
    this.#metrics.counter('partita.gateway.retries').of({ reason }).add(1);
  }

  /** Only of topics with acknowledged records, so of topics that there are or were. */
  #seriesOf(topic: string): TopicSeries {
    const known = this.#topics.get(topic);
    if (known !== undefined) return known;
    const series = {
      records: this.#metrics.counter('partita.gateway.produce.records').of({ topic }),
      bytes: this.#metrics.counter('partita.gateway.produce.bytes').of({ topic }),
    };
    if (this.#topics.size < METRIC_TOPIC_COUNT_MAX) this.#topics.set(topic, series);
    return series;
  }
}
