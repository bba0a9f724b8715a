/**
 * Passes ready batches of clients on to the partition's leader, as they are: the leader checks and stamps them. The gateway
 * looks at the header only: which session a batch belongs to, so that it keeps the session's order and tries again what is
 * in doubt, and whether its keys belong to the partition.
 */
import { canonicalBatch, hasProducer, producerIdAt, readBatchHeader } from '@partita/batch';
import type { BatchHeader } from '@partita/batch';
import { BatchTrace } from '@partita/client';
import type { AppendOutcome, LeaderAppender, RouteCache } from '@partita/client';
import { asPartitaError, isInternalTopic, PartitaError } from '@partita/domain';
import type { DelayRoom, QuotaGate } from '@partita/domain';
import type { Partition, ProduceBatchFrame, ProduceResult, TopicRoute } from '@partita/protocol';
import { toRpcStatus } from '@partita/rpc';
import type { Caller } from './caller.ts';
import type { HeldRequest, InFlight } from './in-flight.ts';
import type { PublishTrace } from './publish-trace.ts';
import { memoryBytes } from './request-bytes.ts';

/** A frame and what holds for its appending. */
interface BatchFrame {
  readonly frame: ProduceBatchFrame;
  readonly trace: PublishTrace | undefined;
  readonly caller: Caller;
  readonly deadlineAtMs: number;
  /** Of the client; empty when it does not name itself. */
  readonly clientId: string;
  /** Bounds what of its stream waits for quotas. */
  readonly room: DelayRoom;
  readonly done: (outcome: AppendOutcome) => void;
}

export interface BatchAppendOptions {
  readonly routes: RouteCache;
  readonly appender: LeaderAppender;
  readonly inFlight: InFlight;
  readonly gate: QuotaGate;
}

export class BatchAppend {
  readonly #routes: RouteCache;
  readonly #appender: LeaderAppender;
  readonly #inFlight: InFlight;
  readonly #gate: QuotaGate;

  constructor({ routes, appender, inFlight, gate }: BatchAppendOptions) {
    this.#routes = routes;
    this.#appender = appender;
    this.#inFlight = inFlight;
    this.#gate = gate;
  }

  /** Queues the batch behind the earlier ones of its partition and session; `done` is called once. */
  append(batch: BatchFrame): void {
    const { topic } = batch.frame;
    if (isInternalTopic(topic)) {
      const text = `"${topic}" is Partita's own; clients cannot write it`;
      return batch.done(new PartitaError('INTERNAL_TOPIC', text, { topic }));
    }
    let held: HeldRequest;
    try {
      held = this.#inFlight.enter(batch.caller, memoryBytes('batch', batch.frame.recordBatches.byteLength, 0));
    } catch (error) {
      return batch.done(asPartitaError(error));
    }
    const whole = {
      ...batch,
      done: (outcome: AppendOutcome) => {
        held.release();
        batch.done(outcome);
      },
    };
    if (this.#gate.isOn) this.#throttle(whole, held);
    else this.#route(whole, held);
  }

  /** In the order in which batches of a client came to the topic: a session's never overtake each other. */
  #throttle(batch: BatchFrame, held: HeldRequest): void {
    const { frame, clientId, deadlineAtMs, room, trace } = batch;
    const { topic } = frame;
    const startMs = performance.now();
    const bytes = frame.recordBatches.byteLength;
    let isDelayed = false;
    try {
      this.#gate.pass({ clientId, topic, bytes, lane: `${clientId}\0${topic}`, deadlineAtMs, room }, () => {
        if (isDelayed) trace?.spent('throttle', startMs);
        this.#route(batch, held);
      });
      isDelayed = true;
    } catch (error) {
      batch.done(asPartitaError(error));
    }
  }

  #route(batch: BatchFrame, held: HeldRequest): void {
    const { topic } = batch.frame;
    const startMs = batch.trace === undefined ? 0 : performance.now();
    const known = this.#routes.lookup(topic);
    const go = (route: TopicRoute): void => {
      batch.trace?.spent('route', startMs);
      this.#trySend(batch, held, route);
    };
    if (known !== undefined) return go(known);
    this.#routes.resolve(topic).then(go, (error: unknown) => {
      batch.trace?.spent('route', startMs, undefined, error);
      batch.done(asPartitaError(error));
    });
  }

  #trySend(batch: BatchFrame, held: HeldRequest, route: TopicRoute): void {
    const startMs = batch.trace === undefined ? 0 : performance.now();
    try {
      this.#send(batch, held, route, startMs);
    } catch (error) {
      batch.trace?.spent('validate', startMs, undefined, error);
      batch.done(asPartitaError(error));
    }
  }

  #send(batch: BatchFrame, held: HeldRequest, route: TopicRoute, startMs: number): void {
    const { frame, trace, deadlineAtMs, done } = batch;
    const partition = partitionOf(frame, route);
    const recordBatches = canonicalBatch(frame.recordBatches);
    const header = readBatchHeader(recordBatches);
    if (!frame.partitionChosen) checkKeys(header, partition, route);
    const refusal = held.toLeader(partition.leaderId, 1);
    if (refusal !== undefined) throw refusal;
    trace?.spent('validate', startMs);
    const endWait = trace?.beginWait(frame.partition);
    this.#appender.append({
      topicId: route.topicId,
      topic: route.topic,
      partition: frame.partition,
      recordBatches,
      session: hasProducer(header) ? producerIdAt(recordBatches, 0) : '',
      acks: frame.acks,
      ...(frame.expectedNextOffset === undefined ? {} : { expectedNextOffset: frame.expectedNextOffset }),
      trace: trace === undefined ? undefined : attemptsOf(trace, frame, endWait),
      deadlineAtMs,
      done: (outcome) => {
        endWait?.(outcome instanceof PartitaError ? outcome : undefined);
        done(outcome);
      },
    });
  }
}

function attemptsOf(
  { traceparent }: PublishTrace,
  { links }: ProduceBatchFrame,
  endWait: (() => void) | undefined,
): BatchTrace {
  return new BatchTrace({
    traceparent,
    linked: links?.traceparents ?? [],
    ...(endWait === undefined ? {} : { onLeaving: endWait }),
  });
}

function partitionOf({ partition, topicId }: ProduceBatchFrame, route: TopicRoute): Partition {
  const { topic } = route;
  if (topicId !== '' && topicId !== route.topicId) {
    const text = `"${topic}" is another topic now, made again under its name; ask for its route`;
    throw new PartitaError('TOPIC_NOT_FOUND', text, { topic, topic_id: topicId });
  }
  const found = route.partitions[partition];
  if (found !== undefined) return found;
  const metadata = { topic, partition: String(partition), partition_count: String(route.partitions.length) };
  throw new PartitaError('PARTITION_NOT_FOUND', `topic "${topic}" has no partition ${partition}`, metadata);
}

/** A batch without keys goes anywhere. */
function checkKeys(
  { minKeyHash, maxKeyHash }: BatchHeader,
  { partition, hashMin, hashMax }: Partition,
  route: TopicRoute,
): void {
  if (minKeyHash > maxKeyHash || (minKeyHash >= hashMin && maxKeyHash <= hashMax)) return;
  const text = `keys of the batch belong to another partition of "${route.topic}" than ${partition}; set partition_chosen to send it there all the same`;
  const field = minKeyHash < hashMin ? 'min_key_hash' : 'max_key_hash';
  throw new PartitaError('INVALID_BATCH', text, { field, partition: String(partition) });
}

/** The result of a batch frame: all of its records, in order. */
export function batchResult(partition: number, outcome: AppendOutcome): ProduceResult {
  if (outcome instanceof PartitaError) {
    return { partition, recordIndexes: [], outcome: { $case: 'error', error: toRpcStatus(outcome) } };
  }
  return { partition, recordIndexes: [], outcome: { $case: 'ack', ack: outcome } };
}
