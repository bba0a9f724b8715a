/**
 * The span between a record's append and its member: `receive <topic>`, child of the span in the record's traceparent and
 * parent of the member's `process`. Made for sampled records only, and only when the process traces.
 */
import { decodeBatch } from '@partita/batch';
import { SpanKind, trace } from '@opentelemetry/api';
import type { Span } from '@opentelemetry/api';
import { contextOf, sampledParent, traceparentOf } from '@partita/client';
import type { ConsumedRecord } from '@partita/protocol';
import { consumedRecord } from './consumed-record.ts';

/** What the spans of a stream tell. */
export interface ReceiveSource {
  readonly group: string;
  readonly topic: string;
  readonly partition: number;
}

const tracer = trace.getTracer('partita');

/** Begins the span and puts it into the record; undefined for a record that is not traced. End it when sent. */
export function beginReceiveSpan(consumed: ConsumedRecord, source: ReceiveSource): Span | undefined {
  const { record } = consumed;
  if (record === undefined || record.traceparent === '' || sampledParent(record.traceparent) === undefined)
    return undefined;
  const attributes = {
    'messaging.system': 'partita',
    'messaging.operation.type': 'receive',
    'messaging.operation.name': 'receive',
    'messaging.destination.name': source.topic,
    'messaging.destination.partition.id': String(source.partition),
    'messaging.consumer.group.name': source.group,
    'messaging.partita.offset': String(consumed.offset),
  };
  const span = tracer.startSpan(
    `receive ${source.topic}`,
    { kind: SpanKind.CONSUMER, attributes },
    contextOf(record.traceparent),
  );
  const traceparent = traceparentOf(span);
  if (traceparent !== '') record.traceparent = traceparent;
  return span;
}

/**
 * The spans of a batch that is passed on as it is stored. It is decoded for them, and its records keep their traceparent, so
 * these spans stand beside the member's `process`. A batch that cannot be decoded has none: its member tells why.
 */
export function beginBatchSpans(bytes: Uint8Array, source: ReceiveSource): Span[] {
  try {
    const { header, records } = decodeBatch(bytes);
    return records.flatMap((record) => beginReceiveSpan(consumedRecord(record, header, false), source) ?? []);
  } catch {
    return [];
  }
}
