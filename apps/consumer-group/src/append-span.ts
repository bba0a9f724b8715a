/**
 * `append <topic> to broker N`: one attempt to append, below the first of those who wait for it that is traced, with links
 * to the others. The leader's own spans are below it.
 */
import { SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { contextOf, linksTo, sampledParent, traceparentOf } from '@partita/client';
import { asPartitaError } from '@partita/domain';
import { spanTimeMs } from '@partita/rpc';

const tracer = trace.getTracer('partita');

export interface AppendAttempt {
  readonly topic: string;
  readonly partition: number;
  readonly brokerId: number;
  /** From 1. */
  readonly attempt: number;
}

/** Appends inside the span, passing on its traceparent; without a trace it just does it, with ''. */
export async function inAppendSpan<T>(
  { topic, partition, brokerId, attempt }: AppendAttempt,
  traces: readonly string[],
  work: (traceparent: string) => Promise<T>,
): Promise<T> {
  const [first, ...others] = traces;
  if (first === undefined || sampledParent(first) === undefined) return work('');
  const attributes = {
    'messaging.system': 'partita',
    'messaging.operation.name': 'append',
    'messaging.destination.name': topic,
    'messaging.destination.partition.id': String(partition),
    'partita.broker.id': brokerId,
    'partita.attempt': attempt,
  };
  const options = { kind: SpanKind.CLIENT, attributes, links: linksTo(others), startTime: spanTimeMs() };
  const span = tracer.startSpan(`append ${topic} to broker ${brokerId}`, options, contextOf(first));
  try {
    return await work(traceparentOf(span));
  } catch (thrown) {
    const { reason, message } = asPartitaError(thrown);
    span.setAttribute('error.type', reason);
    span.setStatus({ code: SpanStatusCode.ERROR, message });
    throw thrown;
  } finally {
    span.end(spanTimeMs());
  }
}
