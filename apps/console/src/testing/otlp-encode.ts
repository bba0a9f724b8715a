/** Makes ExportTraceServiceRequests, as an exporter sends them. */
import { BinaryWriter } from '@bufbuild/protobuf/wire';

export interface SentSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name?: string;
  readonly kind?: number;
  readonly startNanos?: bigint;
  readonly endNanos?: bigint;
  readonly attributes?: Readonly<Record<string, string | number | boolean | bigint | readonly string[]>>;
  readonly links?: readonly (readonly [traceId: string, spanId: string])[];
  readonly error?: string;
}

/** Spans of one service. */
export function encodeExport(service: string, spans: readonly SentSpan[]): Buffer {
  const resource = new BinaryWriter().uint32(tag(1, 2)).bytes(attribute('service.name', service)).finish();
  const scope = new BinaryWriter();
  for (const span of spans) scope.uint32(tag(2, 2)).bytes(encodeSpan(span));
  const resourceSpans = new BinaryWriter();
  resourceSpans.uint32(tag(1, 2)).bytes(resource).uint32(tag(2, 2)).bytes(scope.finish());
  return Buffer.from(new BinaryWriter().uint32(tag(1, 2)).bytes(resourceSpans.finish()).finish());
}

function encodeSpan(span: SentSpan): Uint8Array {
  const { startNanos = 1n, endNanos = 2n, attributes = {}, links = [] } = span;
  const writer = new BinaryWriter();
  writer.uint32(tag(1, 2)).bytes(hex(span.traceId)).uint32(tag(2, 2)).bytes(hex(span.spanId));
  if (span.parentSpanId !== undefined) writer.uint32(tag(4, 2)).bytes(hex(span.parentSpanId));
  writer.uint32(tag(5, 2)).string(span.name ?? 'span');
  writer.uint32(tag(6, 0)).int32(span.kind ?? 1);
  writer.uint32(tag(7, 1)).fixed64(startNanos).uint32(tag(8, 1)).fixed64(endNanos);
  for (const [name, value] of Object.entries(attributes)) writer.uint32(tag(9, 2)).bytes(attribute(name, value));
  for (const [traceId, spanId] of links) {
    const link = new BinaryWriter().uint32(tag(1, 2)).bytes(hex(traceId)).uint32(tag(2, 2)).bytes(hex(spanId));
    writer.uint32(tag(13, 2)).bytes(link.finish());
  }
  if (span.error !== undefined) {
    const status = new BinaryWriter().uint32(tag(2, 2)).string(span.error).uint32(tag(3, 0)).int32(2);
    writer.uint32(tag(15, 2)).bytes(status.finish());
  }
  return writer.finish();
}

function attribute(name: string, value: string | number | boolean | bigint | readonly string[]): Uint8Array {
  return new BinaryWriter().uint32(tag(1, 2)).string(name).uint32(tag(2, 2)).bytes(anyValue(value)).finish();
}

function anyValue(value: string | number | boolean | bigint | readonly string[]): Uint8Array {
  const writer = new BinaryWriter();
  if (typeof value === 'string') return writer.uint32(tag(1, 2)).string(value).finish();
  if (typeof value === 'boolean') return writer.uint32(tag(2, 0)).bool(value).finish();
  if (typeof value === 'bigint') return writer.uint32(tag(3, 0)).int64(value).finish();
  if (typeof value === 'number') return writer.uint32(tag(4, 1)).double(value).finish();
  const list = new BinaryWriter();
  for (const item of value) list.uint32(tag(1, 2)).bytes(anyValue(item));
  return writer.uint32(tag(5, 2)).bytes(list.finish()).finish();
}

function tag(field: number, wireType: number): number {
  return field * 8 + wireType;
}

function hex(text: string): Uint8Array {
  return Buffer.from(text, 'hex');
}
