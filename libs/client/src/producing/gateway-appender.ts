/** Appends batches through a gateway: an ordered lane per partition and producer session over one stream, whichever gateway. */
import { DEADLINE_MS_MAX, PartitaError } from '@partita/domain';
import { Acks } from '@partita/protocol';
import type { ProduceBatchFrame } from '@partita/protocol';
import { fromRpcStatus } from '@partita/rpc';
import type { ChannelPool } from '@partita/rpc/client';
import type { Endpoints } from '../endpoints.ts';
import type { AppendJob, AppendOutcome, BatchSink } from './append-job.ts';
import { RetryBudget } from '../retry-budget.ts';
import { GatewayStream } from './gateway-stream.ts';
import { OrderedLane } from './ordered-lane.ts';
import type { FrameOutcome } from './produce-link.ts';
import { mayPass } from './retried-errors.ts';

/** A batch that waits for room in the stream. */
interface WaitingAttempt {
  readonly job: AppendJob;
  readonly expiresAtMs: number;
  readonly done: (outcome: AppendOutcome) => void;
}

export class GatewayAppender implements BatchSink {
  readonly #stream: GatewayStream;
  /** Lanes with something in them. */
  readonly #lanes = new Map<string, OrderedLane>();
  readonly #budget = new RetryBudget();
  /** In the order of their attempts. Bounded by the lanes, which have a few batches each under way. */
  #waiting: WaitingAttempt[] = [];
  #closed = false;

  constructor(pool: ChannelPool, endpoints: Endpoints) {
    this.#stream = new GatewayStream(pool, endpoints, {
      onOpen: () => {
        for (const lane of [...this.#lanes.values()]) lane.wake();
      },
      onRoom: () => this.#flush(),
      onFailure: (error) => this.#failWaiting(error),
    });
  }

  append(job: AppendJob): void {
    if (this.#closed) return queueMicrotask(() => job.done(closedError()));
    const key = `${job.topicId}/${job.partition}/${job.session ?? ''}`;
    let lane = this.#lanes.get(key);
    if (lane === undefined) {
      const owner = {
        attempt: (tried: AppendJob, timeoutMs: number, done: (outcome: AppendOutcome) => void) =>
          this.#attempt(tried, timeoutMs, done),
        mayPass,
        onFailure: () => {},
        budget: () => this.#budget,
        onIdle: () => void this.#lanes.delete(key),
      };
      lane = new OrderedLane(owner, (job.session ?? '') !== '');
      this.#lanes.set(key, lane);
    }
    lane.push(job);
  }

  /** Ends the stream; what is under way is in doubt, what waits is not sent. */
  close(): void {
    this.#closed = true;
    for (const lane of [...this.#lanes.values()]) lane.close(closedError());
    this.#failWaiting(closedError());
    this.#stream.close();
  }

  #attempt(job: AppendJob, timeoutMs: number, done: (outcome: AppendOutcome) => void): void {
    this.#waiting.push({ job, expiresAtMs: performance.now() + timeoutMs, done });
    this.#flush();
  }

  #flush(): void {
    const link = this.#stream.link;
    if (link === undefined) return;
    const nowMs = performance.now();
    let count = 0;
    for (const attempt of this.#waiting) {
      const timeoutMs = Math.min(DEADLINE_MS_MAX, attempt.expiresAtMs - nowMs);
      if (timeoutMs > 0 && !link.hasRoom(attempt.job.recordBatches.byteLength)) break;
      count += 1;
      if (timeoutMs <= 0) {
        queueMicrotask(() => attempt.done(tooLate(attempt.job)));
        continue;
      }
      attempt.job.trace?.leave();
      link.sendBatch(frameOf(attempt.job, timeoutMs), (outcome) => attempt.done(outcomeOfBatch(outcome)));
    }
    this.#waiting.splice(0, count);
  }

  #failWaiting(error: PartitaError): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    // Not sent, so it is no doubt of theirs, whatever ended the stream.
    const refusal = new PartitaError('SERVICE_UNREACHABLE', error.message, error.metadata, { cause: error });
    for (const { done } of waiting) queueMicrotask(() => done(refusal));
  }
}

function frameOf(job: AppendJob, timeoutMs: number): Omit<ProduceBatchFrame, 'frameId'> {
  return {
    topic: job.topic,
    topicId: job.topicId,
    partition: job.partition,
    partitionChosen: job.partitionChosen ?? true,
    recordBatches: job.recordBatches,
    acks: job.acks ?? Acks.ACKS_ALL,
    expectedNextOffset: job.expectedNextOffset,
    traceparent: job.trace?.traceparent ?? '',
    tracestate: '',
    links: job.trace === undefined ? undefined : { traceparents: [...job.trace.linked] },
    timeoutMs,
  };
}

function outcomeOfBatch(outcome: FrameOutcome): AppendOutcome {
  if (outcome instanceof PartitaError) return outcome;
  const result = outcome.results[0]?.outcome;
  if (result?.$case === 'ack') return result.ack;
  if (result?.$case === 'error') return fromRpcStatus(result.error, { append: true });
  return new PartitaError('OUTCOME_UNKNOWN', 'the gateway answered without a result for this batch');
}

function tooLate({ topic, partition }: AppendJob): PartitaError {
  const text = `no room came free for the batch for "${topic}" within its time`;
  return new PartitaError('TIMED_OUT', text, { topic, partition: String(partition) });
}

function closedError(): PartitaError {
  return new PartitaError('SHUTTING_DOWN', 'the producer is closed');
}
