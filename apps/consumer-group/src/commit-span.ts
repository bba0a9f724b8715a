/** `commit offsets <group>`: a commit of traced records, from its arrival until it is durable; below the member's span. */
import { context, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { Span } from '@opentelemetry/api';
import { contextOf, sampledParent, traceparentOf } from '@partita/client';
import { asPartitaError } from '@partita/domain';
import type { PartitaError } from '@partita/domain';
import type { CommitFailure } from '@partita/protocol';
import { fromRpcStatus, spanTimeMs } from '@partita/rpc';

const tracer = trace.getTracer('partita');

/** What a commit is part of. */
export interface CommitOf {
  readonly group: string;
  /** How many partitions it names. */
  readonly partitionCount: number;
  /** Of the member's message; '' = not traced. */
  readonly traceparent: string;
}

/** What came of it; a partition that was refused makes the span an error. */
export interface Committed {
  readonly failures: readonly CommitFailure[];
}

/** Does the work inside the span, passing on its traceparent; without a sampled parent it just does it, with ''. */
export async function inCommitSpan<T extends Committed>(
  commit: CommitOf,
  work: (traceparent: string) => Promise<T>,
): Promise<T> {
  const { group, partitionCount, traceparent } = commit;
  if (traceparent === '' || sampledParent(traceparent) === undefined) return work('');
  const parent = contextOf(traceparent);
  const attributes = {
    'messaging.system': 'partita',
    'messaging.operation.type': 'settle',
    'messaging.operation.name': 'commit',
    'messaging.consumer.group.name': group,
    'partita.partition_count': partitionCount,
  };
  const options = { kind: SpanKind.SERVER, attributes, startTime: spanTimeMs() };
  const span = tracer.startSpan(`commit offsets ${group}`, options, parent);
  try {
    const committed = await context.with(trace.setSpan(parent, span), () => work(traceparentOf(span)));
    const [refused] = committed.failures;
    if (refused?.error !== undefined) fail(span, fromRpcStatus(refused.error));
    return committed;
  } catch (thrown) {
    fail(span, asPartitaError(thrown));
    throw thrown;
  } finally {
    span.end(spanTimeMs());
  }
}

function fail(span: Span, { reason, message }: PartitaError): void {
  span.setAttribute('error.type', reason);
  span.setStatus({ code: SpanStatusCode.ERROR, message });
}
