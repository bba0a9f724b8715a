/**
 * `append <topic> to broker N`: one attempt to append, below the first of those who wait for it that is traced, with links
 * to the others. The leader's own spans are below it.
 */
import { SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { contextOf, sampledParent, traceparentOf } from '@partita/client';
import { asPartitaError, SPAN_LINK_COUNT_MAX } from '@partita/domain';

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
  const links = others.slice(0, SPAN_LINK_COUNT_MAX).flatMap((each) => {
    const found = sampledParent(each);
    return found === undefined ? [] : [{ context: found }];
  });
  const attributes = {
    'messaging.system': 'partita',
    'messaging.operation.type': 'send',
    'messaging.operation.name': 'append',
    'messaging.destination.name': topic,
    'messaging.destination.partition.id': String(partition),
    'partita.broker.id': brokerId,
    'partita.attempt': attempt,
  };
  const options = { kind: SpanKind.CLIENT, attributes, links };
  const span = tracer.startSpan(`append ${topic} to broker ${brokerId}`, options, contextOf(first));
  try {
    return await work(traceparentOf(span));
  } catch (thrown) {
    const { reason, message } = asPartitaError(thrown);
    span.setAttribute('error.type', reason);
    span.setStatus({ code: SpanStatusCode.ERROR, message });
    throw thrown;
  } finally {
    span.end();
  }
}
