/** The service's counters: what members are sent, what they commit, what they are refused. Additions, and only per batch. */
import { asPartitaError } from '@partita/domain';
import type { GroupCommand, GroupResponse } from '@partita/groups';
import type { CounterSeries, HistogramSeries, Metrics } from '@partita/telemetry';
import { OpenFeeds } from './open-feeds.ts';

const MS_PER_S = 1000;

/** Counts what one member is sent; bounded by the topics of its group. */
export interface DeliveredCount {
  add(topic: string, recordCount: number, bytes: number): void;
}

type Resolve = (response: GroupResponse) => void;

export class GroupMeter {
  /** What is read for members, for the gauges. */
  readonly feeds = new OpenFeeds();
  readonly #metrics: Metrics;
  readonly #commitDuration: HistogramSeries;

  constructor(metrics: Metrics) {
    this.#metrics = metrics;
    this.#commitDuration = metrics.histogram('partita.group.commit.duration').of();
  }

  delivered(group: string): DeliveredCount {
    const series = new Map<string, { readonly records: CounterSeries; readonly bytes: CounterSeries }>();
    return {
      add: (topic, recordCount, bytes) => {
        if (!this.#metrics.isOn) return;
        let counters = series.get(topic);
        if (counters === undefined) {
          counters = {
            records: this.#metrics.counter('partita.group.delivered.records').of({ group, topic }),
            bytes: this.#metrics.counter('partita.group.delivered.bytes').of({ group, topic }),
          };
          series.set(topic, counters);
        }
        counters.records.add(recordCount);
        counters.bytes.add(bytes);
      },
    };
  }

  /** Wraps who waits for a command, so that its commits count once they are durable; at most one commit per command. */
  committing(command: GroupCommand, resolve: Resolve): Resolve {
    if (!this.#metrics.isOn || !('commits' in command) || command.commits.length === 0) return resolve;
    const { group, commits } = command;
    const beganMs = performance.now();
    return (response) => {
      for (const { error } of response.refusals) this.refused(error);
      if (response.refusals.length < commits.length) {
        this.#metrics.counter('partita.group.commits').of({ group }).add(1);
        this.#commitDuration.record((performance.now() - beganMs) / MS_PER_S);
      }
      resolve(response);
    };
  }

  /** The group has new assignments, `count` times. */
  rebalanced(group: string, count: number): void {
    this.#metrics.counter('partita.group.rebalances').of({ group }).add(count);
  }

  /** A member or another caller is told of an error. */
  refused(error: unknown): void {
    const { reason } = asPartitaError(error);
    // Whoever asked the wrong instance is answered by the right one.
    if (reason !== 'NOT_GROUP_OWNER') this.#metrics.counter('partita.group.errors').of({ reason }).add(1);
  }

  /** The same handler, whose errors count. */
  counting<Request, Context, Response>(
    handler: (request: Request, context: Context) => Promise<Response> | Response,
  ): (request: Request, context: Context) => Promise<Response> {
    return async (request, context) => {
      try {
        return await handler(request, context);
      } catch (error) {
        this.refused(error);
        throw error;
      }
    };
  }
}
