/**
 * The attempts to append one batch, as spans in the trace of whoever sent it. Made for a batch that a sampled trace holds;
 * every other batch costs one comparison.
 */
import { SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { Link, Span } from '@opentelemetry/api';
import { PartitaError, SPAN_LINK_COUNT_MAX } from '@partita/domain';
import { spanTimeMs } from '@partita/rpc';
import { contextOf, sampledParent, traceparentOf } from '../trace-context.ts';
import type { AppendJob, AppendOutcome } from './append-job.ts';

export interface BatchTraceOptions {
  /** Of the span that the attempts are children of. */
  readonly traceparent: string;
  /** Of spans in other traces whose records are in the batch, too. */
  readonly linked?: readonly string[];
  /** Called once, when the batch is first sent. */
  readonly onLeaving?: () => void;
}

/** Kept by the batch for as long as it is under way; at most one of its attempts is open. */
export class BatchTrace {
  readonly traceparent: string;
  readonly linked: readonly string[];
  readonly #onLeaving: (() => void) | undefined;
  #hasLeft = false;
  #attemptCount = 0;
  #attempt: Span | undefined;

  constructor({ traceparent, linked = [], onLeaving }: BatchTraceOptions) {
    this.traceparent = traceparent;
    this.linked = linked.slice(0, SPAN_LINK_COUNT_MAX);
    this.#onLeaving = onLeaving;
  }

  /** The batch is on its way, and does not wait for its first sending any longer. */
  leave(): void {
    if (!this.#hasLeft) this.#onLeaving?.();
    this.#hasLeft = true;
  }

  /** Begins the span of an attempt, and returns the traceparent for the broker. No broker: nobody is known to lead. */
  beginAttempt({ topic, partition }: AppendJob, brokerId: number | undefined): string {
    this.leave();
    this.#attemptCount += 1;
    const attributes = {
      'messaging.system': 'partita',
      'messaging.operation.name': 'append',
      'messaging.destination.name': topic,
      'messaging.destination.partition.id': String(partition),
      'partita.attempt': this.#attemptCount,
      ...(brokerId === undefined ? {} : { 'partita.broker.id': brokerId }),
    };
    const name = `append ${topic} to ${brokerId === undefined ? 'no leader' : `broker ${brokerId}`}`;
    const links = linksTo(this.linked);
    this.#attempt = trace
      .getTracer('partita')
      .startSpan(
        name,
        { kind: SpanKind.CLIENT, attributes, links, startTime: spanTimeMs() },
        contextOf(this.traceparent),
      );
    return traceparentOf(this.#attempt);
  }

  /** Ends the span of the attempt under way, if there is one. */
  endAttempt(outcome: AppendOutcome): void {
    const span = this.#attempt;
    if (span === undefined) return;
    this.#attempt = undefined;
    if (outcome instanceof PartitaError) {
      span.setAttribute('error.type', outcome.reason);
      span.setStatus({ code: SpanStatusCode.ERROR, message: outcome.message });
    }
    span.end(spanTimeMs());
  }
}

/** Links to the sampled ones of the spans. */
export function linksTo(traceparents: readonly string[]): Link[] {
  const links: Link[] = [];
  for (const traceparent of traceparents) {
    const context = sampledParent(traceparent);
    if (context !== undefined && links.length < SPAN_LINK_COUNT_MAX) links.push({ context });
  }
  return links;
}
