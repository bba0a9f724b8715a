/**
 * The span of one append, `append <topic>`, and of what it is spent on: `queue`, `fsync` or `write`, `commit <topic>`. Only
 * the first is ever open, until the append is answered, which happens exactly once; the others are made when they are over.
 */
import { ROOT_CONTEXT, trace } from '@opentelemetry/api';
import type { Attributes, Context, Span, SpanContext } from '@opentelemetry/api';
import { activeParent, sampledParent, traceparentOf } from '@partita/rpc';
import type { WriteTiming } from '@partita/log';
import type { AppendEntry } from '@partita/protocol';
import type { AppendOutcome } from '@partita/replication';
import { beginBatchSpan, endBatchSpan } from './batch-span.ts';
import type { BatchPlace, SpanFault } from './batch-span.ts';

/** The sampled span of a call or stream: parent of the entries without a context of their own. Ask when it begins. */
export function callersSpan(isTracing: boolean): SpanContext | undefined {
  return isTracing ? activeParent() : undefined;
}

/** Parent of an entry's span. A stream outlives the spans of its frames, so the entry's own goes before the caller's. */
export function parentOf({ traceparent }: AppendEntry, caller: SpanContext | undefined): SpanContext | undefined {
  return traceparent === '' ? caller : sampledParent(traceparent);
}

export class AppendTrace {
  /** Of the span, for the followers. */
  readonly traceparent: string;
  readonly #span: Span;
  readonly #context: Context;
  readonly #place: BatchPlace;
  readonly #startMs: number;
  /** When it was durable here; undefined before, and for a batch that lay in the log already. */
  #durableAtMs: number | undefined;
  #isSettled = false;

  constructor(parent: SpanContext, place: BatchPlace, recordCount: number) {
    this.#place = place;
    this.#startMs = performance.now();
    const attributes = { 'messaging.batch.message_count': recordCount };
    const above = trace.setSpanContext(ROOT_CONTEXT, parent);
    this.#span = beginBatchSpan('append', `append ${place.topic}`, place, above, {
      attributes,
      startMs: this.#startMs,
    });
    this.#context = trace.setSpan(ROOT_CONTEXT, this.#span);
    this.traceparent = traceparentOf(this.#span);
  }

  /** The batch is written. */
  written({ beganAtMs, endedAtMs, bytes, batchCount, isSynced }: WriteTiming): void {
    this.#durableAtMs = endedAtMs;
    this.#spent('queue', this.#startMs, beganAtMs);
    const attributes = { 'partita.bytes': bytes, 'partita.batches': batchCount };
    this.#spent(isSynced ? 'fsync' : 'write', beganAtMs, endedAtMs, { attributes });
  }

  /** The high watermark covers it. */
  committed(replicasAcked: number): void {
    this.#settle({ attributes: { 'partita.replicas_acked': replicasAcked } });
  }

  /** It will not be known whether it is committed. */
  lost(fault: SpanFault): void {
    this.#settle({ fault });
  }

  /** The answer leaves: the span ends. With acks=leader the commit may still follow. */
  answered(outcome: AppendOutcome, acks: 'all' | 'leader'): void {
    if (outcome.ok) {
      const { baseOffset, leaderEpoch } = outcome.stamp;
      this.#span.setAttributes({
        'messaging.partita.message.offset': Number(baseOffset),
        'partita.leader_epoch': leaderEpoch,
        ...(outcome.duplicate ? { 'partita.duplicate': true } : {}),
      });
      if (acks === 'all') this.committed(outcome.replicasAcked);
      endBatchSpan(this.#span, undefined);
      return;
    }
    const fault = { type: outcome.error.reason, message: outcome.error.message };
    this.lost(fault);
    endBatchSpan(this.#span, fault);
  }

  #settle(how: { readonly attributes?: Attributes; readonly fault?: SpanFault }): void {
    if (this.#isSettled || this.#durableAtMs === undefined) return;
    this.#isSettled = true;
    this.#spent('commit', this.#durableAtMs, undefined, how);
  }

  #spent(
    what: 'queue' | 'fsync' | 'write' | 'commit',
    startMs: number,
    endMs: number | undefined,
    { attributes = {}, fault }: { readonly attributes?: Attributes; readonly fault?: SpanFault } = {},
  ): void {
    const name = what === 'commit' ? `commit ${this.#place.topic}` : what;
    const span = beginBatchSpan(what, name, this.#place, this.#context, { attributes, startMs });
    endBatchSpan(span, fault, endMs);
  }
}
