/** Runs one Produce request: plan, queue, collect what became of each batch, answer when the last is known. */
import { asPartitaError, PartitaError } from '@partita/domain';
import { PartitionBatcher, PartitionChooser, ProducerIds } from '@partita/client';
import type { AppendOutcome, LeaderAppender, RouteCache } from '@partita/client';
import type { ProduceRequest, ProduceResponse, ProduceResult, TopicRoute } from '@partita/protocol';
import { outcomeOf, toRpcStatus } from '@partita/rpc';
import type { DelayRoom, QuotaGate } from '@partita/domain';
import type { Caller } from './caller.ts';
import type { GatewayMeter, ProduceForm } from './gateway-meter.ts';
import type { HeldRequest, InFlight } from './in-flight.ts';
import { checkRequest, planRequest } from './produce-plan.ts';
import type { ProducePart, ProducePlan } from './produce-plan.ts';
import type { PublishTrace } from './publish-trace.ts';
import { memoryBytes, requestBytes } from './request-bytes.ts';

const BATCHER_COUNT_MAX = 20_000;
/** A batch with this much goes though others of its partition are under way. */
const BATCH_BYTES_TARGET = 1024 * 1024;

interface PartOutcome {
  readonly results: ProduceResult[];
  readonly errors: PartitaError[];
  readonly ackedCount: number;
}

/** What a request is handled with. */
export interface RecordAppendParts {
  readonly routes: RouteCache;
  readonly appender: LeaderAppender;
  readonly inFlight: InFlight;
  readonly meter: GatewayMeter;
  readonly gate: QuotaGate;
  /** False = each request has batches of its own. */
  readonly isMerging: boolean;
}

/** How a request came, and from whom. */
export interface Arrived {
  readonly form: ProduceForm;
  readonly trace: PublishTrace | undefined;
  readonly caller: Caller;
  /** Empty when the client does not name itself. */
  readonly clientId: string;
  /** Bounds what of its stream waits for quotas. */
  readonly room?: DelayRoom;
}

/** What holds for the parts of a request. */
interface Queued {
  readonly plan: ProducePlan;
  readonly caller: Caller;
  readonly deadlineAtMs: number;
  readonly trace: PublishTrace | undefined;
}

export class RecordAppend {
  readonly #routes: RouteCache;
  readonly #appender: LeaderAppender;
  readonly #chooser = new PartitionChooser(Math.random);
  /** The gateway is a producer itself: one session per partition, so that its own retries store nothing twice. */
  readonly #ids = new ProducerIds();
  readonly #batchers = new Map<string, PartitionBatcher>();
  /** Those in which records may wait. */
  readonly #waiting = new Set<PartitionBatcher>();
  readonly #inFlight: InFlight;
  readonly #meter: GatewayMeter;
  readonly #gate: QuotaGate;
  readonly #isMerging: boolean;

  constructor({ routes, appender, inFlight, meter, gate, isMerging }: RecordAppendParts) {
    this.#routes = routes;
    this.#appender = appender;
    this.#isMerging = isMerging;
    this.#inFlight = inFlight;
    this.#meter = meter;
    this.#gate = gate;
  }

  /**
   * Answers when every record is durable or refused. The span of `trace` ends then; it is the parent of the attempts and of
   * records without a context.
   */
  async produce(request: ProduceRequest, deadlineAtMs: number, arrived: Arrived): Promise<ProduceResponse> {
    const beganMs = this.#meter.began();
    const { form, trace } = arrived;
    try {
      const response = await this.#produce(request, deadlineAtMs, arrived);
      trace?.end();
      return response;
    } catch (error) {
      trace?.end(error);
      this.#meter.refused(error);
      throw error;
    } finally {
      this.#meter.answered(form, beganMs);
    }
  }

  /** Refuses what has waited past its deadline, and drops what nobody waits for: neither is sent. */
  expire(nowMs: number): void {
    for (const batcher of this.#waiting) {
      batcher.expire(nowMs);
      if (!batcher.hasWaiting) this.#waiting.delete(batcher);
    }
  }

  async #produce(request: ProduceRequest, deadlineAtMs: number, arrived: Arrived): Promise<ProduceResponse> {
    checkRequest(request);
    const bytes = memoryBytes(arrived.form, requestBytes(request), request.records.length);
    const held = this.#inFlight.enter(arrived.caller, bytes);
    try {
      return await this.#hold(request, held, deadlineAtMs, arrived);
    } finally {
      held.release();
    }
  }

  async #hold(
    request: ProduceRequest,
    held: HeldRequest,
    deadlineAtMs: number,
    arrived: Arrived,
  ): Promise<ProduceResponse> {
    const { trace, caller } = arrived;
    const startMs = trace === undefined ? 0 : performance.now();
    const known = this.#routes.lookup(request.topic);
    const route = known ?? (await this.#resolve(request.topic, startMs, trace));
    trace?.spent('route', startMs);
    // From here to the queue in one synchronous step: two requests of a client keep their order.
    const plan = this.#plan(request, route, trace);
    if (this.#gate.isOn) await this.#throttle(plan, route, deadlineAtMs, arrived);
    if (trace !== undefined)
      for (const record of request.records) if (record.traceparent === '') record.traceparent = trace.traceparent;
    const planBytes = bytesOf(plan);
    const outcomes = await Promise.all(
      plan.parts.map((part) => {
        const refusal = this.#noRoom(part, held, part.bytes / Math.max(1, planBytes));
        if (refusal !== undefined) return Promise.resolve(refused(part, refusal));
        return this.#queue(part, { plan, caller, deadlineAtMs, trace });
      }),
    );
    const response = answer(outcomes);
    this.#count(plan, outcomes);
    return response;
  }

  /** Resolves when the quotas let the request through, in the order in which requests of a client came to the topic. */
  async #throttle(
    plan: ProducePlan,
    { topic }: TopicRoute,
    deadlineAtMs: number,
    { clientId, trace, room }: Arrived,
  ): Promise<void> {
    const startMs = performance.now();
    const load = { clientId, topic, bytes: bytesOf(plan), lane: `${clientId}\0${topic}`, deadlineAtMs };
    const isDelayed = await new Promise<boolean>((resolve) => {
      let isAtOnce = true;
      this.#gate.pass(room === undefined ? load : { ...load, room }, () => resolve(!isAtOnce));
      isAtOnce = false;
    });
    if (isDelayed) trace?.spent('throttle', startMs);
  }

  /** Of a request that at least some records of were stored. */
  #count({ parts }: ProducePlan, outcomes: readonly PartOutcome[]): void {
    for (const [index, { records, bytes, route }] of parts.entries()) {
      const { ackedCount = 0, errors = [] } = outcomes[index] ?? {};
      for (const error of errors) this.#meter.refused(error);
      if (ackedCount > 0)
        this.#meter.acknowledged(route.topic, ackedCount, Math.round((bytes * ackedCount) / records.length));
    }
  }

  async #resolve(topic: string, startMs: number, trace: PublishTrace | undefined): Promise<TopicRoute> {
    try {
      return await this.#routes.resolve(topic);
    } catch (error) {
      trace?.spent('route', startMs, undefined, error);
      throw error;
    }
  }

  #plan(request: ProduceRequest, route: TopicRoute, trace: PublishTrace | undefined): ProducePlan {
    const startMs = trace === undefined ? 0 : performance.now();
    try {
      const plan = planRequest(request, route, this.#chooser, Date.now());
      trace?.spent('validate', startMs);
      return plan;
    } catch (error) {
      trace?.spent('validate', startMs, undefined, error);
      throw error;
    }
  }

  /** Why nothing more may wait for the partition, or be on its way to its leader. Other parts of the request may go on. */
  #noRoom({ route, partition }: ProducePart, held: HeldRequest, fraction: number): PartitaError | undefined {
    const { full } = this.#batcher(route, partition);
    if (full !== undefined) this.#meter.shed('partition');
    return full ?? held.toLeader(route.partitions[partition]?.leaderId ?? 0, fraction);
  }

  #queue(part: ProducePart, { plan, caller, deadlineAtMs, trace }: Queued): Promise<PartOutcome> {
    const waiting = trace?.waiting(part.partition, part.records.length);
    return new Promise((resolve) => {
      const results: ProduceResult[] = [];
      const errors: PartitaError[] = [];
      let open = part.records.length;
      let ackedCount = 0;
      const batcher = this.#batcher(part.route, part.partition);
      this.#waiting.add(batcher);
      batcher.add({
        records: part.records,
        keyHashes: part.keyHashes,
        next: 0,
        bytes: part.bytes,
        acks: plan.acks,
        codec: plan.codec,
        mergeable: plan.mergeable,
        expectedNextOffset: plan.expectedNextOffset,
        requestId: plan.requestId,
        partitionChosen: true,
        traceparent: '',
        ...waiting?.told,
        queuedAtMs: performance.now(),
        deadlineAtMs,
        get isOver() {
          return caller.isOver;
        },
        done: (from, to, outcome, indexInBatch) => {
          results.push(resultOf(part, from, to, outcome, indexInBatch));
          if (outcome instanceof PartitaError) errors.push(outcome);
          else ackedCount += to - from;
          open -= to - from;
          if (open > 0) return;
          waiting?.end(errors[0]);
          resolve({ results, errors, ackedCount });
        },
      });
    });
  }

  #batcher(route: TopicRoute, partition: number): PartitionBatcher {
    const key = `${route.topicId}/${partition}`;
    let batcher = this.#batchers.get(key);
    if (batcher === undefined) {
      if (this.#batchers.size >= BATCHER_COUNT_MAX) this.#dropIdle();
      batcher = new PartitionBatcher({
        topicId: route.topicId,
        topic: route.topic,
        partition,
        sink: this.#appender,
        ids: this.#ids,
        isSessionOptional: true,
        isMerging: this.#isMerging,
        batchBytesMax: BATCH_BYTES_TARGET,
        deadline: 'last',
        onBatch: (recordCount, bytes) => {
          this.#chooser.batchSent(route.topicId, partition);
          this.#meter.batchBuilt(recordCount, bytes);
        },
      });
      this.#batchers.set(key, batcher);
    }
    return batcher;
  }

  #dropIdle(): void {
    for (const [key, batcher] of this.#batchers) if (batcher.idle) this.#batchers.delete(key);
  }
}

function refused(part: ProducePart, error: PartitaError): PartOutcome {
  return { results: [resultOf(part, 0, part.records.length, error, 0)], errors: [error], ackedCount: 0 };
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

function bytesOf({ parts }: ProducePlan): number {
  return parts.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** The response, or, when nothing at all was stored, the gravest error thrown: doubt outweighs refusal. */
function answer(perPart: readonly PartOutcome[]): ProduceResponse {
  const results = perPart.flatMap((part) => part.results);
  const errors = perPart.flatMap((part) => part.errors);
  if (errors.length < results.length) return { results };
  throw errors.find((error) => outcomeOf(error) === 'unknown') ?? asPartitaError(errors[0]);
}
