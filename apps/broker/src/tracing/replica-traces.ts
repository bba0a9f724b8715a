/**
 * The traced batches of one replica that are on their way: appends that it leads, until they are committed, and batches that
 * it follows, until they are durable. Made for each replica of a broker that traces; all of it is bounded, and a batch that
 * finds no room has fewer spans, never an open one.
 */
import type { PartitaError } from '@partita/domain';
import { contextOf, sampledParent } from '@partita/rpc';
import { WriteWatch } from '@partita/log';
import type { TracedBatch, TracedBatches } from '@partita/protocol';
import type { AppendInput, PartitionState, PlannedAppend, ReplicaChange } from '@partita/replication';
import type { AppendTrace } from './append-trace.ts';
import { beginBatchSpan, endBatchSpan } from './batch-span.ts';
import type { BatchPlace, SpanFault } from './batch-span.ts';

/** Traced batches of a replica that wait for something. */
const TRACED_BATCH_COUNT_MAX = 1000;
/** Batches named in one message to a follower. */
const TRACED_BATCH_SENT_COUNT_MAX = 32;
const NOT_LEADING = { type: 'NOT_LEADER', message: 'this broker no longer leads the partition' };
const CLOSED = { type: 'SHUTTING_DOWN', message: 'the replica was closed before' };

interface LedBatch {
  readonly endOffset: bigint;
  readonly trace: AppendTrace;
}

interface FollowedBatch extends TracedBatch {
  readonly receivedAtMs: number;
}

export class ReplicaTraces {
  /** For the log. */
  readonly watch = new WriteWatch();
  readonly #brokerId: number;
  readonly #place: () => BatchPlace;
  /** Appends that are not in the log yet, and not answered. */
  readonly #expected = new Map<AppendInput, AppendTrace>();
  /** Appends in the log that are not committed, in its order. */
  #led: LedBatch[] = [];
  /** What followers are told of appends that some of them may not have been sent, in the log's order. */
  readonly #unsent: TracedBatch[] = [];
  /** Batches of the leader that are not durable here, in their order. */
  #followed: FollowedBatch[] = [];

  constructor(brokerId: number, place: () => BatchPlace) {
    this.#brokerId = brokerId;
    this.#place = place;
  }

  /** The append is about to be fed. */
  expect(input: AppendInput, trace: AppendTrace): void {
    if (this.#expected.size < TRACED_BATCH_COUNT_MAX) this.#expected.set(input, trace);
  }

  /** It is answered. */
  forget(input: AppendInput): void {
    this.#expected.delete(input);
  }

  /** A batch of this leader lies in the log's queue. */
  onAppended(batch: Uint8Array, { request, stamp, recordCount }: PlannedAppend): void {
    const trace = request === undefined ? undefined : this.#expected.get(request);
    if (request === undefined || trace === undefined) return;
    this.#expected.delete(request);
    this.watch.add(batch, (timing) => trace.written(timing));
    const endOffset = stamp.baseOffset + BigInt(recordCount);
    if (this.#led.length < TRACED_BATCH_COUNT_MAX) this.#led.push({ endOffset, trace });
    this.#unsent.push({ endOffset, traceparent: trace.traceparent });
    // Where no follower is, nothing is ever sent.
    if (this.#unsent.length > TRACED_BATCH_COUNT_MAX) this.#unsent.shift();
  }

  /** What followers are told of the batches between the offsets. */
  between(fromOffset: bigint, endOffset: bigint): TracedBatches | undefined {
    if (this.#unsent.length === 0) return undefined;
    const batches = this.#unsent
      .filter((batch) => batch.endOffset > fromOffset && batch.endOffset <= endOffset)
      .slice(0, TRACED_BATCH_SENT_COUNT_MAX);
    return batches.length === 0 ? undefined : { batches };
  }

  /** Every follower has been sent what ends at or below the offset. */
  onSent(offset: bigint): void {
    for (let first = this.#unsent[0]; first !== undefined; first = this.#unsent[0]) {
      if (first.endOffset > offset) return;
      this.#unsent.shift();
    }
  }

  onChanged(state: Readonly<PartitionState>, what: ReplicaChange): void {
    if (what === 'high-watermark') this.#onCommitted(state);
    else if (what === 'role' && state.role.kind !== 'leader') this.#onLeadLost(NOT_LEADING);
  }

  #onCommitted({ highWatermark, role }: Readonly<PartitionState>): void {
    for (let first = this.#led[0]; first !== undefined; first = this.#led[0]) {
      const { endOffset, trace } = first;
      if (endOffset > highWatermark) return;
      this.#led.shift();
      const followers = role.kind === 'leader' ? [...role.followers.values()] : [];
      trace.committed(1 + followers.filter((one) => one.inSync && one.durableEnd >= endOffset).length);
    }
  }

  /** Nothing more becomes of what is on its way. */
  close(error?: PartitaError): void {
    const fault = error === undefined ? CLOSED : { type: error.reason, message: error.message };
    this.#onLeadLost(fault);
    this.onCut(-1n, fault);
  }

  /** What was not committed is in doubt. */
  #onLeadLost(fault: SpanFault): void {
    this.#unsent.length = 0;
    for (const { trace } of this.#led.splice(0)) trace.lost(fault);
  }

  /** The leader sent batches, which were handed to the log: what was durable before is there already. */
  onReceived(
    traced: readonly TracedBatch[],
    receivedAtMs: number,
    { durableBefore, logEnd }: { readonly durableBefore: bigint; readonly logEnd: bigint },
  ): void {
    for (const { endOffset, traceparent } of traced.slice(0, TRACED_BATCH_SENT_COUNT_MAX)) {
      if (endOffset <= durableBefore || sampledParent(traceparent) === undefined) continue;
      const followed = { endOffset, traceparent, receivedAtMs };
      if (endOffset > logEnd)
        this.#end(followed, { type: 'NOT_STORED', message: 'this replica did not take the batch' });
      else if (this.#followed.length < TRACED_BATCH_COUNT_MAX) this.#followed.push(followed);
    }
  }

  /** The log is durable up to the offset. */
  onSynced(end: bigint): void {
    for (let first = this.#followed[0]; first !== undefined; first = this.#followed[0]) {
      if (first.endOffset > end) return;
      this.#followed.shift();
      this.#end(first, undefined);
    }
  }

  /** What lies behind the offset is cut off, or will never be durable. */
  onCut(toOffset: bigint, fault: SpanFault): void {
    const gone = this.#followed.filter(({ endOffset }) => endOffset > toOffset);
    this.#followed = this.#followed.filter(({ endOffset }) => endOffset <= toOffset);
    for (const followed of gone) this.#end(followed, fault);
  }

  #end({ traceparent, receivedAtMs }: FollowedBatch, fault: SpanFault | undefined): void {
    const place = this.#place();
    const options = { attributes: { 'partita.broker.id': this.#brokerId }, startMs: receivedAtMs };
    endBatchSpan(
      beginBatchSpan('replicate', `replicate ${place.topic}`, place, contextOf(traceparent), options),
      fault,
    );
  }
}
