/**
 * A producer session on one partition (REPLICATION: "Idempotent producers", KIP-98, KIP-360): numbers its batches, so that
 * the leader stores each once and in order, whoever carries them and however often.
 *
 * When a batch certainly was not stored, its numbers are a gap which no later batch can pass: then everything that comes
 * back is numbered anew from 0 under the next producer epoch, once nothing is under way. Only what certainly was not stored
 * is sent again: the batches behind a gap are such, whatever was heard of them.
 */
import { restampProducer } from '@partita/batch';
import type { ProducerStamp } from '@partita/batch';
import { PartitaError, PRODUCER_EXPIRY_MS, PRODUCER_WINDOW_COUNT, REQUEST_PRODUCER_EPOCH } from '@partita/domain';
import { outcomeOf } from '@partita/rpc';
import type { AppendJob, AppendOutcome, BatchSink } from './append-job.ts';
import type { ProducerIds } from './producer-ids.ts';

/** A batch built with the session's `stamp`. */
export interface SessionBatch {
  readonly job: AppendJob & { readonly deadlineAtMs: number };
  readonly recordCount: number;
}

interface Outgoing {
  readonly batch: SessionBatch;
  readonly stamp: ProducerStamp;
  /** Times that it was numbered anew. */
  readonly restampCount: number;
}

/** A batch of no session. */
const NO_SESSION: ProducerStamp = { producerId: new Uint8Array(16), producerEpoch: -1, firstSequence: -1n };
/** How long a partition whose leader remembers as many sessions as it may is written without one, before it is asked again. */
const NO_SESSION_MS = 60_000;
/** An id is not taken on for a new epoch of its own making for ever: a leader refuses ids of this age. */
const ID_AGE_MS_MAX = PRODUCER_EXPIRY_MS / 2;
const RESTAMP_COUNT_MAX = 5;

export interface SessionOptions {
  readonly sink: BatchSink;
  readonly ids: ProducerIds;
  /**
   * When the leader remembers as many sessions as it may (PRODUCER_TABLE_FULL): true = goes on without one for a while, in
   * doubt where it is in doubt, so that those who make sessions do not shut out those who need none. False = fails.
   */
  readonly isOptional: boolean;
  /** Called whenever a batch has its outcome. */
  readonly onRoom: () => void;
}

export class ProducerSession {
  readonly #options: SessionOptions;
  #producerId: Uint8Array;
  #name: string;
  #madeMs: number;
  #epoch = 0;
  #nextSequence = 0n;
  /** Under way, in the order of their sequences. Invariant: at most PRODUCER_WINDOW_COUNT. */
  #underWay: Outgoing[] = [];
  /** Certainly not stored: numbered anew when nothing is under way. */
  #back: Outgoing[] = [];
  #begins: 'epoch' | 'id' | 'without' | undefined;
  /** Monotonic milliseconds until which batches go without a session. */
  #withoutUntilMs = 0;
  /** Lowest sequence of this epoch that certainly is never stored. */
  #gapAt: bigint | undefined;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#producerId = options.ids.make();
    this.#name = nameOf(this.#producerId);
    this.#madeMs = performance.now();
  }

  get underWayCount(): number {
    return this.#underWay.length + this.#back.length;
  }

  /** Whether `send` may be called. */
  get hasRoom(): boolean {
    return this.#begins === undefined && this.#underWay.length < PRODUCER_WINDOW_COUNT;
  }

  /** What the next batch has to be built with. */
  get stamp(): ProducerStamp {
    if (performance.now() < this.#withoutUntilMs) return NO_SESSION;
    const isOld = this.#withoutUntilMs > 0 || performance.now() - this.#madeMs > ID_AGE_MS_MAX;
    if (isOld && this.#underWay.length === 0) this.#beginId();
    return { producerId: this.#producerId, producerEpoch: this.#epoch, firstSequence: this.#nextSequence };
  }

  /** Sends a batch that was built with `stamp`, asked for in the same turn. */
  send(batch: SessionBatch): void {
    this.#send({ batch, stamp: this.stamp, restampCount: 0 }, batch.job.recordBatches);
  }

  #send(outgoing: Outgoing, recordBatches: Uint8Array): void {
    const { job, recordCount } = outgoing.batch;
    const isNumbered = outgoing.stamp.producerEpoch >= 0;
    if (isNumbered) this.#nextSequence += BigInt(recordCount);
    this.#underWay.push(outgoing);
    const done = (outcome: AppendOutcome): void => this.#onOutcome(outgoing, outcome);
    this.#options.sink.append({ ...job, recordBatches, session: isNumbered ? this.#name : '', done });
  }

  #onOutcome(outgoing: Outgoing, outcome: AppendOutcome): void {
    this.#underWay = this.#underWay.filter((other) => other !== outgoing);
    if (outcome instanceof PartitaError) this.#onFailure(outgoing, outcome);
    else outgoing.batch.job.done(outcome);
    if (this.#begins !== undefined && this.#underWay.length === 0) this.#beginAgain(this.#begins);
    this.#options.onRoom();
  }

  #onFailure(outgoing: Outgoing, error: PartitaError): void {
    const { batch, stamp } = outgoing;
    if (stamp.producerEpoch < 0) return batch.job.done(error);
    const isBehindGap = this.#gapAt !== undefined && stamp.firstSequence > this.#gapAt;
    // It may be stored; so the batches behind it may be, and go on under the same epoch.
    if (outcomeOf(error) === 'unknown' && !isBehindGap) return batch.job.done(error);
    if (this.#gapAt === undefined || stamp.firstSequence < this.#gapAt) this.#gapAt = stamp.firstSequence;
    const isUnknown = outcomeOf(error) === 'unknown';
    const reason = isUnknown ? 'OUT_OF_ORDER_SEQUENCE' : error.reason;
    const isShutOut = reason === 'PRODUCER_TABLE_FULL' && this.#options.isOptional;
    this.#begins = this.#whatBegins(reason, isShutOut);
    if (reason === 'PRODUCER_EXPIRED') this.#options.ids.noteLeaderTime(Number(error.metadata['leader_time_ms']));
    if ((isShutOut || SEQUENCE_REASONS.has(reason)) && mayRestamp(outgoing)) this.#back.push(outgoing);
    else batch.job.done(isUnknown ? neverStored(batch.job, error) : error);
  }

  /** Once nothing is under way. A new id covers a new epoch. */
  #whatBegins(reason: string, isShutOut: boolean): 'epoch' | 'id' | 'without' {
    if (isShutOut) return 'without';
    return NEEDS_NEW_ID.has(reason) ? 'id' : (this.#begins ?? 'epoch');
  }

  #beginAgain(what: 'epoch' | 'id' | 'without'): void {
    this.#begins = undefined;
    if (what === 'without') this.#withoutUntilMs = performance.now() + NO_SESSION_MS;
    else if (what === 'id' || this.#epoch + 1 >= REQUEST_PRODUCER_EPOCH) this.#beginId();
    else this.#beginEpoch(this.#epoch + 1);
    const back = this.#back.sort((a, b) => (a.stamp.firstSequence < b.stamp.firstSequence ? -1 : 1));
    this.#back = [];
    for (const { batch, restampCount } of back) {
      const { stamp } = this;
      const recordBatches = restampProducer(batch.job.recordBatches, stamp);
      this.#send({ batch, stamp, restampCount: restampCount + 1 }, recordBatches);
    }
  }

  #beginId(): void {
    this.#withoutUntilMs = 0;
    this.#producerId = this.#options.ids.make();
    this.#name = nameOf(this.#producerId);
    this.#madeMs = performance.now();
    this.#beginEpoch(0);
  }

  #beginEpoch(epoch: number): void {
    this.#epoch = epoch;
    this.#nextSequence = 0n;
    this.#gapAt = undefined;
  }
}

/** What the leader says of a session's numbers, not of the batch. */
const SEQUENCE_REASONS: ReadonlySet<string> = new Set([
  'OUT_OF_ORDER_SEQUENCE',
  'UNKNOWN_PRODUCER',
  'PRODUCER_EXPIRED',
  'FENCED_PRODUCER',
]);

const NEEDS_NEW_ID: ReadonlySet<string> = new Set(['PRODUCER_EXPIRED', 'FENCED_PRODUCER']);

function mayRestamp({ batch, restampCount }: Outgoing): boolean {
  return restampCount < RESTAMP_COUNT_MAX && batch.job.deadlineAtMs > performance.now();
}

function neverStored({ topic, partition }: AppendJob, error: PartitaError): PartitaError {
  const metadata = { topic, partition: String(partition), last_reason: error.reason };
  const text = `the batch for "${topic}" was not stored: an earlier one of its session was refused (${error.message})`;
  return new PartitaError('TIMED_OUT', text, metadata, { cause: error });
}

function nameOf(producerId: Uint8Array): string {
  return Buffer.from(producerId).toString('hex');
}
