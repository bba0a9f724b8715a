/**
 * `commit offsets`: one span a commit, from its sending until its answer, below the `process` span of the first record in it
 * that is traced, with links to those of others. What is not traced costs a comparison.
 */
import { context, SpanKind, trace } from '@opentelemetry/api';
import type { SpanContext } from '@opentelemetry/api';
import { SPAN_LINK_COUNT_MAX } from '@partita/domain';
import { spanTimeMs } from '@partita/rpc';
import type { Handling } from './handlers.ts';
import { failSpan, sampledContext } from './spans.ts';
import { traceparentOf } from './trace-context.ts';

/** A commit on its way. */
export interface CommitSpan {
  /** For the message that carries the commit. */
  readonly traceparent: string;
  /** The answer has come, or nobody waits for one any more. Again without effect. */
  end(error?: unknown): void;
  /** It has to be sent again: the next commit is below the same spans. */
  again(error: unknown): void;
}

export class CommitSpans {
  readonly #handling: Handling;
  /** Spans whose records are finished and not committed; the first of them, and as many as there are links. */
  #finished: SpanContext[] = [];
  #sentFrom: string | undefined;

  constructor(handling: Handling) {
    this.#handling = handling;
  }

  /** Records were processed in this span; without effect when a commit was sent from inside it. */
  finished(span: SpanContext | undefined): void {
    if (span === undefined || this.#finished.length > SPAN_LINK_COUNT_MAX) return;
    if (span.spanId !== this.#sentFrom) this.#finished.push(span);
  }

  /**
   * The commit of what is finished is about to be sent; undefined when nothing of it is traced. End it on every path.
   * `isAsked`: by the caller, whose own span counts too: it may be that of the record in progress.
   */
  begin(partitionCount: number, isAsked = false): CommitSpan | undefined {
    const { tracer, group } = this.#handling;
    if (tracer === undefined) return undefined;
    const inside = isAsked ? sampledContext(trace.getActiveSpan()) : undefined;
    const below = inside === undefined ? this.#finished : [...this.#finished, inside];
    const [parent, ...others] = below;
    if (parent === undefined) return undefined;
    this.#finished = [];
    this.#sentFrom = inside?.spanId;
    const span = tracer.startSpan(
      'commit offsets',
      {
        kind: SpanKind.CLIENT,
        startTime: spanTimeMs(),
        attributes: {
          'messaging.system': 'partita',
          'messaging.operation.type': 'settle',
          'messaging.operation.name': 'commit',
          'messaging.consumer.group.name': group,
          'partita.partition_count': partitionCount,
        },
        links: others.slice(0, SPAN_LINK_COUNT_MAX).map((other) => ({ context: other })),
      },
      trace.setSpanContext(context.active(), parent),
    );
    let ended = false;
    const end = (error?: unknown): void => {
      if (ended) return;
      ended = true;
      if (error !== undefined) failSpan(span, error);
      span.end(spanTimeMs());
    };
    return {
      traceparent: traceparentOf(span),
      end,
      again: (error) => {
        end(error);
        for (const each of below) this.finished(each);
      },
    };
  }
}
