/** What `run` calls: a handler of records, or of several records of one partition at once. */
import { context } from '@opentelemetry/api';
import type { Tracer } from '@opentelemetry/api';
import type { HandedOut } from './hand-out.ts';
import type { PartitionName } from './held-partition.ts';
import type { ReceivedRecord } from './record-form.ts';
import { failSpan, processSpan } from './spans.ts';

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

/** Handles one record, inside its span when the process traces. */
export async function handle(
  { records }: HandedOut,
  handler: RecordHandler,
  { tracer, group }: { readonly tracer: Tracer | undefined; readonly group: string },
): Promise<void> {
  const [record] = records;
  if (record === undefined) return;
  if (tracer === undefined) return handler(record);
  const { span, context: inside } = processSpan(tracer, group, record);
  try {
    await context.with(inside, () => handler(record));
  } catch (error) {
    failSpan(span, error);
    throw error;
  } finally {
    span.end();
  }
}

export async function handleBatch({ held, records }: HandedOut, handler: BatchHandler): Promise<void> {
  await handler({ topic: held.topic, partition: held.partition, records });
}
