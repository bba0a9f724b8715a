import { ProducerServiceService } from '@partita/protocol';
import { bidi, implement, unary } from '@partita/rpc/server';
import type { BatchAppend } from './batch-append.ts';
import { ProduceStream } from './produce-stream.ts';
import { publishSpan } from './publish-span.ts';
import type { RecordAppend } from './record-append.ts';

/** A client's deadline minus this is the leader's, so that an answer still finds its way back. */
const DEADLINE_MARGIN_MS = 50;

/** Produce and ProduceStream. */
export function producerMethods(records: RecordAppend, batches: BatchAppend) {
  return implement(ProducerServiceService, {
    produce: unary(
      async (request, context) => {
        const span = publishSpan(request.topic, request.records.length, undefined, context);
        try {
          return await records.produce(
            request,
            performance.now() + Math.max(1, context.deadlineMs - DEADLINE_MARGIN_MS),
            span,
          );
        } finally {
          span.end();
        }
      },
      { append: true },
    ),
    produceStream: bidi((stream, context) => new ProduceStream(stream, context, records, batches)),
  });
}
