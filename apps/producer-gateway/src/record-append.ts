/** Runs one Produce request: plan, queue, collect what became of each batch, answer when the last is known. */
import { asPartitaError, PartitaError } from '@partita/domain';
import type { AppendOutcome, LeaderAppender, RouteCache } from '@partita/client';
import { traceparentOf } from '@partita/client';
import type { ProduceRequest, ProduceResponse, ProduceResult, TopicRoute } from '@partita/protocol';
import { outcomeOf, toRpcStatus } from '@partita/rpc';
import type { Span } from '@opentelemetry/api';
import type { HeldBytes } from './held-bytes.ts';
import { PartitionChooser } from './partition-chooser.ts';
import { PartitionMerger } from './partition-merger.ts';
import { checkRequest, planRequest } from './produce-plan.ts';
import type { ProducePart, ProducePlan } from './produce-plan.ts';

const MERGER_COUNT_MAX = 20_000;

interface PartOutcome {
  readonly results: ProduceResult[];
  readonly errors: PartitaError[];
}

export class RecordAppend {
  readonly #routes: RouteCache;
  readonly #appender: LeaderAppender;
  readonly #chooser = new PartitionChooser(Math.random);
  readonly #mergers = new Map<string, PartitionMerger>();
  readonly #held: HeldBytes;

  constructor(routes: RouteCache, appender: LeaderAppender, held: HeldBytes) {
    this.#routes = routes;
    this.#appender = appender;
    this.#held = held;
  }

  /** Answers when every record is durable or refused. `span` becomes the parent of the records and of the append. */
  async produce(request: ProduceRequest, deadlineAtMs: number, span: Span): Promise<ProduceResponse> {
    checkRequest(request);
    const known = this.#routes.lookup(request.topic);
    const route = known ?? (await this.#routes.resolve(request.topic));
    // From here to the queue in one synchronous step: two requests of a client keep their order.
    const plan = planRequest(request, route, this.#chooser, Date.now());
    this.#checkRoom(plan);
    this.#held.take(plan.bytes);
    const traceparent = traceparentOf(span);
    if (traceparent !== '')
      for (const record of request.records) if (record.traceparent === '') record.traceparent = traceparent;
    try {
      return answer(await Promise.all(plan.parts.map((part) => this.#queue(part, plan, deadlineAtMs, traceparent))));
    } finally {
      this.#held.release(plan.bytes);
    }
  }

  #checkRoom(plan: ProducePlan): void {
    for (const part of plan.parts) {
      const full = this.#merger(part.route, part.partition).full;
      if (full !== undefined) throw full;
    }
  }

  #queue(part: ProducePart, plan: ProducePlan, deadlineAtMs: number, traceparent: string): Promise<PartOutcome> {
    return new Promise((resolve) => {
      const results: ProduceResult[] = [];
      const errors: PartitaError[] = [];
      let open = part.records.length;
      this.#merger(part.route, part.partition).add({
        records: part.records,
        next: 0,
        bytes: part.bytes,
        acks: plan.acks,
        codec: plan.codec,
        mergeable: plan.mergeable,
        expectedNextOffset: plan.expectedNextOffset,
        traceparent,
        deadlineAtMs,
        done: (from, to, outcome, indexInBatch) => {
          results.push(resultOf(part, from, to, outcome, indexInBatch));
          if (outcome instanceof PartitaError) errors.push(outcome);
          open -= to - from;
          if (open === 0) resolve({ results, errors });
        },
      });
    });
  }

  #merger(route: TopicRoute, partition: number): PartitionMerger {
    const key = `${route.topicId}/${partition}`;
    let merger = this.#mergers.get(key);
    if (merger === undefined) {
      if (this.#mergers.size >= MERGER_COUNT_MAX) this.#dropIdle();
      merger = new PartitionMerger(route, partition, this.#appender, () =>
        this.#chooser.batchSent(route.topicId, partition),
      );
      this.#mergers.set(key, merger);
    }
    return merger;
  }

  #dropIdle(): void {
    for (const [key, merger] of this.#mergers) if (merger.idle) this.#mergers.delete(key);
  }
}

function resultOf(
  part: ProducePart,
  from: number,
  to: number,
  outcome: AppendOutcome,
  indexInBatch: number,
): ProduceResult {
  const recordIndexes = part.indexes.slice(from, to);
  if (outcome instanceof PartitaError) {
    return { partition: part.partition, recordIndexes, outcome: { $case: 'error', error: toRpcStatus(outcome) } };
  }
  const ack = {
    ...outcome,
    partition: part.partition,
    baseOffset: outcome.baseOffset + BigInt(indexInBatch),
    recordCount: to - from,
  };
  return { partition: part.partition, recordIndexes, outcome: { $case: 'ack', ack } };
}

/** The response, or, when nothing at all was stored, the gravest error thrown: doubt outweighs refusal. */
function answer(perPart: readonly PartOutcome[]): ProduceResponse {
  const results = perPart.flatMap((part) => part.results);
  const errors = perPart.flatMap((part) => part.errors);
  if (errors.length < results.length) return { results };
  throw errors.find((error) => outcomeOf(error) === 'unknown') ?? asPartitaError(errors[0]);
}
