/** What `run` calls: a handler of records, or of several records of one partition at once. */
import { context } from '@opentelemetry/api';
import type { Context, Span, SpanContext, Tracer } from '@opentelemetry/api';
import { spanTimeMs } from '@partita/rpc';
import type { HandedOut } from './hand-out.ts';
import type { PartitionName } from './held-partition.ts';
import type { ReceivedRecord } from './record-form.ts';
import { failSpan, processBatchSpan, processSpan, sampledContext } from './spans.ts';

export type RecordHandler = (record: ReceivedRecord) => void | Promise<void>;

/** Records of one partition, in order; at least one. */
export interface ReceivedBatch extends PartitionName {
  readonly records: readonly ReceivedRecord[];
}

export type BatchHandler = (batch: ReceivedBatch) => void | Promise<void>;

export interface RunOptions {
  /** Handlers that work side by side, each on a partition of its own. Default 1. */
  readonly concurrency?: number | undefined;
}

export interface RunBatchesOptions extends RunOptions {
  /** Most records at once. Default 500. */
  readonly maxRecords?: number | undefined;
}

/** Who handles, and the tracer when the process traces. */
export interface Handling {
  readonly tracer: Tracer | undefined;
  readonly group: string;
}

/** Handles one record, inside its span when the process traces; resolves with the span if that is recorded. */
export async function handle(
  { records }: HandedOut,
  handler: RecordHandler,
  { tracer, group }: Handling,
): Promise<SpanContext | undefined> {
  const [record] = records;
  if (record === undefined) return undefined;
  if (tracer !== undefined) return inSpan(processSpan(tracer, group, record), () => handler(record));
  await handler(record);
  return undefined;
}

/** The same with several records, in one span. */
export async function handleBatch(
  { held, records }: HandedOut,
  handler: BatchHandler,
  { tracer, group }: Handling,
): Promise<SpanContext | undefined> {
  const batch = { topic: held.topic, partition: held.partition, records };
  if (tracer !== undefined) return inSpan(processBatchSpan(tracer, group, batch), () => handler(batch));
  await handler(batch);
  return undefined;
}

async function inSpan(
  { span, context: inside }: { readonly span: Span; readonly context: Context },
  work: () => void | Promise<void>,
): Promise<SpanContext | undefined> {
  try {
    await context.with(inside, work);
    return sampledContext(span);
  } catch (error) {
    failSpan(span, error);
    throw error;
  } finally {
    span.end(spanTimeMs());
  }
}
