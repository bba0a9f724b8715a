/** Passes ready batches of clients on to the partition's leader, unchanged: the leader checks and stamps them. */
import type { AppendOutcome, LeaderAppender, RouteCache } from '@partita/client';
import { asPartitaError, isInternalTopic, PartitaError } from '@partita/domain';
import type { ProduceBatchFrame, ProduceResult, TopicRoute } from '@partita/protocol';
import { toRpcStatus } from '@partita/rpc';
import type { HeldBytes } from './held-bytes.ts';

export class BatchAppend {
  readonly #routes: RouteCache;
  readonly #appender: LeaderAppender;
  readonly #held: HeldBytes;

  constructor(routes: RouteCache, appender: LeaderAppender, held: HeldBytes) {
    this.#routes = routes;
    this.#appender = appender;
    this.#held = held;
  }

  /** Queues the batch behind the earlier ones of its partition; `done` is called once. */
  append(
    frame: ProduceBatchFrame,
    traceparent: string,
    deadlineAtMs: number,
    done: (outcome: AppendOutcome) => void,
  ): void {
    if (isInternalTopic(frame.topic)) {
      const metadata = { topic: frame.topic };
      return done(
        new PartitaError('INTERNAL_TOPIC', `"${frame.topic}" is Partita's own; clients cannot write it`, metadata),
      );
    }
    const route = this.#routes.lookup(frame.topic);
    if (route !== undefined) return this.#send(frame, route, traceparent, deadlineAtMs, done);
    this.#routes.resolve(frame.topic).then(
      (found) => this.#send(frame, found, traceparent, deadlineAtMs, done),
      (error: unknown) => done(asPartitaError(error)),
    );
  }

  #send(
    frame: ProduceBatchFrame,
    route: TopicRoute,
    traceparent: string,
    deadlineAtMs: number,
    done: (outcome: AppendOutcome) => void,
  ): void {
    if (frame.partition < 0 || frame.partition >= route.partitions.length) {
      const metadata = {
        topic: route.topic,
        partition: String(frame.partition),
        partition_count: String(route.partitions.length),
      };
      return done(
        new PartitaError('PARTITION_NOT_FOUND', `topic "${route.topic}" has no partition ${frame.partition}`, metadata),
      );
    }
    const bytes = frame.recordBatches.byteLength;
    try {
      this.#held.take(bytes);
    } catch (error) {
      return done(asPartitaError(error));
    }
    this.#appender.append({
      topicId: route.topicId,
      topic: route.topic,
      partition: frame.partition,
      recordBatches: frame.recordBatches,
      acks: frame.acks,
      ...(frame.expectedNextOffset === undefined ? {} : { expectedNextOffset: frame.expectedNextOffset }),
      traceparent,
      deadlineAtMs,
      done: (outcome) => {
        this.#held.release(bytes);
        done(outcome);
      },
    });
  }
}

/** The result of a batch frame: all of its records, in order. */
export function batchResult(partition: number, outcome: AppendOutcome): ProduceResult {
  if (outcome instanceof PartitaError) {
    return { partition, recordIndexes: [], outcome: { $case: 'error', error: toRpcStatus(outcome) } };
  }
  return { partition, recordIndexes: [], outcome: { $case: 'ack', ack: outcome } };
}
