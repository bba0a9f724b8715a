/** Appending: from an entry as it came to its place in a log, and back to a result. */
import {
  acceptBatch,
  BATCH_CLAIM,
  BATCH_DATA,
  batchTypeAt,
  hasProducerAt,
  producerIdAt,
  producerSequenceAt,
  recordCountAt,
  recordsAt,
} from '@partita/batch';
import {
  asPartitaError,
  DEADLINE_MS_MAX,
  isProducerId,
  isRequest,
  PartitaError,
  partitionKey,
  REQUEST_PARTITION_COUNT_MAX,
} from '@partita/domain';
import type { Clock, DelayRoom, ProducerSequence, QuotaGate } from '@partita/domain';
import type { SpanContext } from '@opentelemetry/api';
import { Acks, ClaimRecord } from '@partita/protocol';
import type { AppendEntry, AppendRequest, AppendResponse, AppendResult } from '@partita/protocol';
import type { AppendInput, AppendOutcome, Claim } from '@partita/replication';
import { checkEnum, toRpcStatus } from '@partita/rpc';
import type { CallContext } from '@partita/rpc/server';
import type { BrokerMetrics } from '../metrics/broker-metrics.ts';
import type { PartitionActor } from '../partition-actor.ts';
import type { PartitionRegistry } from '../partition-registry.ts';
import { AppendTrace, callersSpan, parentOf } from '../tracing/append-trace.ts';
import { outOfRange } from './request-checks.ts';

export interface AppendOptions {
  readonly registry: PartitionRegistry;
  readonly clock: Clock;
  /** True = appends of sampled traces have spans; without it none is even tried. */
  readonly tracing: boolean;
  readonly metrics: BrokerMetrics;
  readonly gate: QuotaGate;
  /** Told of every partition that has an append waiting, so that its deadlines are looked at. */
  readonly onWaiting: (actor: PartitionActor) => void;
}

/** Who appends. */
export interface AppendCaller {
  /** Empty when it does not name itself. */
  readonly clientId: string;
  /** The sampled span of the call or stream; undefined without one, and when nothing is traced. */
  readonly span: SpanContext | undefined;
  /** Bounds what of a stream waits for quotas. */
  readonly room?: DelayRoom;
}

/** By partition, the first entry of a request that was refused there: what follows it there must not overtake it. */
type RefusedEntries = Map<string, { readonly index: number; readonly error: PartitaError }>;

interface EntryOfRequest {
  readonly entry: AppendEntry;
  readonly index: number;
  readonly refused: RefusedEntries;
}

const ACKS = [Acks.ACKS_UNSPECIFIED, Acks.ACKS_ALL, Acks.ACKS_LEADER] as const;

export class Appender {
  readonly #options: AppendOptions;
  #isDraining = false;

  constructor(options: AppendOptions) {
    this.#options = options;
  }

  /** From now on appends are refused with SHUTTING_DOWN; those in the logs are finished. */
  drain(): void {
    this.#isDraining = true;
  }

  /** The unary call. */
  async append(request: AppendRequest, context: CallContext): Promise<AppendResponse> {
    const { entries } = request;
    if (entries.length < 1 || entries.length > REQUEST_PARTITION_COUNT_MAX) {
      throw outOfRange('entries', entries.length, `1..${REQUEST_PARTITION_COUNT_MAX} entries`);
    }
    const deadlineMs = this.#options.clock.monotonicMs() + Math.min(context.deadlineMs, DEADLINE_MS_MAX);
    const caller = { clientId: context.clientId, span: this.callersSpan() };
    const results = await new Promise<AppendResult[]>((resolve) =>
      this.appendAll(entries, deadlineMs, caller, resolve),
    );
    return { results };
  }

  /** The sampled span of the call or stream that begins now; undefined without one, and when nothing is traced. */
  callersSpan(): SpanContext | undefined {
    return callersSpan(this.#options.tracing);
  }

  /** Appends the entries in order and calls `done` once, with one result for each, when all are known. */
  appendAll(
    entries: readonly AppendEntry[],
    deadlineMs: number,
    caller: AppendCaller,
    done: (results: AppendResult[]) => void,
  ): void {
    const results = new Array<AppendResult>(entries.length);
    const refused: RefusedEntries = new Map();
    let openCount = entries.length;
    entries.forEach((entry, index) => {
      this.#appendOne({ entry, index, refused }, deadlineMs, caller, (result) => {
        results[index] = result;
        openCount -= 1;
        if (openCount === 0) done(results);
      });
    });
  }

  #appendOne(
    { entry, index, refused }: EntryOfRequest,
    deadlineMs: number,
    caller: AppendCaller,
    done: (result: AppendResult) => void,
  ): void {
    let key = '';
    const { metrics } = this.#options;
    const beganAtMs = metrics.now();
    const refuse = (error: PartitaError) => {
      metrics.refused(error.reason);
      if (key !== '' && index < (refused.get(key)?.index ?? Infinity)) refused.set(key, { index, error });
      done({ outcome: { $case: 'error', error: toRpcStatus(error) } });
    };
    const checkEarlier = (): void => {
      const earlier = refused.get(key);
      if (earlier !== undefined && earlier.index < index) throw earlier.error;
    };
    const feed = (actor: PartitionActor): void => {
      if (this.#isDraining) throw shuttingDown();
      checkEarlier();
      this.#feed(actor, entry, deadlineMs, caller.span, (outcome) => {
        if (!outcome.ok) {
          refuse(this.#withLeader(actor, outcome.error));
          return;
        }
        if (outcome.duplicate) metrics.duplicates.add(1);
        else metrics.appended(actor.topic, entry, outcome.recordCount, beganAtMs);
        done({ outcome: { $case: 'ack', ack: ackOf(actor, outcome) } });
      });
    };
    try {
      if (this.#isDraining) throw shuttingDown();
      const actor = this.#options.registry.find(entry);
      key = partitionKey(actor);
      checkEarlier();
      if (this.#options.gate.isOn) this.#throttle(actor, entry, { ...caller, deadlineMs }, feed, refuse);
      else feed(actor);
    } catch (error) {
      refuse(asPartitaError(error));
    }
  }

  /** Feeds the entry when its quotas let it through, in the order in which entries of the client came to the partition. */
  #throttle(
    actor: PartitionActor,
    { recordBatches }: AppendEntry,
    { clientId, room, deadlineMs: deadlineAtMs }: AppendCaller & { readonly deadlineMs: number },
    feed: (actor: PartitionActor) => void,
    refuse: (error: PartitaError) => void,
  ): void {
    const { topic } = actor;
    // Who does not lead says so at once.
    if (topic.isInternal || actor.leader === undefined) return feed(actor);
    const lane = `${partitionKey(actor)}/${clientId}`;
    const load = { clientId, topic: topic.config.topic, bytes: recordBatches.length, lane, deadlineAtMs };
    this.#options.gate.pass(room === undefined ? load : { ...load, room }, () => {
      try {
        feed(actor);
      } catch (error) {
        refuse(asPartitaError(error));
      }
    });
  }

  #feed(
    actor: PartitionActor,
    entry: AppendEntry,
    deadlineMs: number,
    caller: SpanContext | undefined,
    done: (outcome: AppendOutcome) => void,
  ): void {
    const { clock, onWaiting, tracing } = this.#options;
    const { topic } = actor;
    if (actor.leader === undefined) throw this.#options.registry.notLeader(actor);
    const acks = checkEnum(entry.acks, ACKS, 'acks');
    if (entry.expectedNextOffset !== undefined && entry.expectedNextOffset < 0n) {
      throw outOfRange('expected_next_offset', entry.expectedNextOffset, 'at least 0');
    }
    checkWriter(entry, topic.config.topic, topic.isInternal);
    const wallMs = clock.wallMs();
    const { recordBytesMax, codecs, timestampFutureMsMax } = topic.settings;
    const batch = acceptBatch(entry.recordBatches, {
      recordBytesMax,
      ...(codecs === undefined ? {} : { codecs }),
      allowControl: topic.isInternal,
      wallMs,
      timestampFutureMsMax,
    });
    const producer = producerOf(batch);
    const claim = claimOf(batch, entry);
    const recordCount = recordCountAt(batch, 0);
    onWaiting(actor);
    const input = {
      kind: 'append' as const,
      batch,
      recordCount,
      acks: acks === Acks.ACKS_LEADER ? ('leader' as const) : ('all' as const),
      leaderEpoch: entry.leaderEpoch,
      expectedNextOffset: entry.expectedNextOffset,
      claimEpoch: entry.claimEpoch,
      claim,
      producer,
      wallMs,
      deadlineMs,
      reply: done,
    };
    const parent = tracing ? parentOf(entry, caller) : undefined;
    actor.feed(parent === undefined ? input : traced(actor, input, parent));
  }

  /** The core knows that it does not lead; the directory may know who does. */
  #withLeader(actor: PartitionActor, error: PartitaError): PartitaError {
    return error.reason === 'NOT_LEADER' ? this.#options.registry.notLeader(actor) : error;
  }
}

/** The append with its span in the trace of `parent`. */
function traced(actor: PartitionActor, input: AppendInput, parent: SpanContext): AppendInput {
  const { traces, topic, partition } = actor;
  if (traces === undefined) return input;
  const trace = new AppendTrace(parent, { topic: topic.config.topic, partition }, input.recordCount);
  const known: AppendInput = {
    ...input,
    reply: (outcome) => {
      traces.forget(known);
      trace.answered(outcome, input.acks);
      input.reply(outcome);
    },
  };
  traces.expect(known, trace);
  return known;
}

/** Clients may not write Partita's own topics, and nobody claims those of users. */
function checkWriter(entry: AppendEntry, topic: string, isInternal: boolean): void {
  if (isInternal && entry.claimEpoch <= 0) {
    throw new PartitaError(
      'INTERNAL_TOPIC',
      `topic "${topic}" is Partita's own; read it, but write to a topic of yours`,
      {
        topic,
      },
    );
  }
  if (!isInternal && entry.claimEpoch !== 0) throw outOfRange('claim_epoch', entry.claimEpoch, '0 on this topic');
}

/** Identity of a batch of a producer session, whose id tells when it was made. */
function producerOf(batch: Uint8Array): ProducerSequence | undefined {
  const producer = producerSequenceAt(batch, 0);
  const isSound = producer === undefined ? !hasProducerAt(batch, 0) : isProducerId(producer.producerId);
  if (!isSound) {
    const rule = 'producer_id is a UUID of version 7';
    const message = 'producer_id is a UUID of version 7, on batches of type DATA only; make one, or leave it empty';
    throw new PartitaError('INVALID_BATCH', message, { rule, field: 'producer_id', value: producerIdAt(batch, 0) });
  }
  if (producer !== undefined && isRequest(producer) && producer.firstSequence !== 0n) {
    const rule = `first_sequence is 0 under producer epoch ${producer.producerEpoch}, that of sessions of one batch`;
    const value = String(producer.firstSequence);
    throw new PartitaError('INVALID_BATCH', rule, { rule, field: 'first_sequence', value });
  }
  return producer;
}

/** The claim in a CLAIM batch. Other control batches are the leader's own. */
function claimOf(batch: Uint8Array, entry: AppendEntry): Claim | undefined {
  const type = batchTypeAt(batch, 0);
  if (type === BATCH_DATA) return undefined;
  if (type !== BATCH_CLAIM) {
    throw new PartitaError('INVALID_BATCH', `batch type ${type} is written by leaders only; send type DATA`, {
      rule: 'a type of the cluster itself',
      type: String(type),
    });
  }
  const { claimEpoch, instanceId } = decodeClaim(recordsAt(batch, 0));
  if (claimEpoch !== entry.claimEpoch || recordCountAt(batch, 0) !== 1) {
    throw outOfRange('claim_epoch', entry.claimEpoch, `${claimEpoch}, as in the claim itself`);
  }
  return { epoch: claimEpoch, instanceId };
}

function decodeClaim(bytes: Uint8Array): ClaimRecord {
  try {
    return ClaimRecord.decode(bytes);
  } catch (cause) {
    throw new PartitaError(
      'MALFORMED_MESSAGE',
      'the records of a CLAIM batch are no ClaimRecord',
      { message: 'partita.peer.v1.ClaimRecord' },
      { cause },
    );
  }
}

function ackOf(actor: PartitionActor, outcome: Extract<AppendOutcome, { ok: true }>) {
  return {
    partition: actor.partition,
    baseOffset: outcome.stamp.baseOffset,
    leaderEpoch: outcome.stamp.leaderEpoch,
    replicasAcked: outcome.replicasAcked,
    fsynced: outcome.fsynced,
    appendTimeMs: outcome.stamp.appendTimeMs,
    duplicate: outcome.duplicate,
    recordCount: outcome.recordCount,
  };
}

/** The answer to whatever is new while the broker drains. */
export function shuttingDown(): PartitaError {
  return new PartitaError('SHUTTING_DOWN', 'this broker is stopping; refresh the routes and try again', {}, {});
}
