import { ProducerServiceService } from '@partita/protocol';
import type { TracingMode } from '@partita/rpc';
import { bidi, implement, unary } from '@partita/rpc/server';
import type { BatchAppend } from './batch-append.ts';
import { callerOf } from './caller.ts';
import type { GatewayMeter } from './gateway-meter.ts';
import { ProduceStream } from './produce-stream.ts';
import { PublishTrace, publishedRecords, publishParent, publishTracing } from './publish-trace.ts';
import type { RecordAppend } from './record-append.ts';

/** A client's deadline minus this is the leader's, so that an answer still finds its way back. */
const DEADLINE_MARGIN_MS = 50;

export interface ProducerParts {
  readonly records: RecordAppend;
  readonly batches: BatchAppend;
  readonly meter: GatewayMeter;
  readonly tracing: TracingMode;
}

/** Produce and ProduceStream. */
export function producerMethods(parts: ProducerParts) {
  const { records, tracing } = parts;
  return implement(ProducerServiceService, {
    produce: unary(
      async (request, context) => {
        const deadlineAtMs = performance.now() + Math.max(1, context.deadlineMs - DEADLINE_MARGIN_MS);
        const parent = publishParent(publishTracing(tracing), '');
        const trace =
          parent === undefined ? undefined : PublishTrace.begin(parent, publishedRecords(request, ''), context);
        const arrived = { form: 'unary', trace, caller: callerOf(context), clientId: context.clientId } as const;
        return records.produce(request, deadlineAtMs, arrived);
      },
      { append: true },
    ),
    produceStream: bidi((stream, context) => new ProduceStream(stream, context, parts)),
  });
}
