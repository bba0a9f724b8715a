/** Makes ExportTraceServiceRequests, as an exporter sends them. */
import { BinaryWriter } from '@bufbuild/protobuf/wire';

type SentAttributes = Readonly<Record<string, string | number | boolean | bigint | readonly string[]>>;

export interface SentEvent {
  readonly name: string;
  readonly nanos: bigint;
  readonly attributes?: SentAttributes;
}

export interface SentSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name?: string;
  readonly kind?: number;
  readonly startNanos?: bigint;
  readonly endNanos?: bigint;
  readonly attributes?: SentAttributes;
  readonly events?: readonly SentEvent[];
  readonly links?: readonly (readonly [traceId: string, spanId: string])[];
  /** What the exporter says that it left out. */
  readonly dropped?: { readonly attributes: number; readonly events: number; readonly links: number };
  readonly error?: string;
}

/** Spans of one service, and of an instance of it when one is named. */
export function encodeExport(service: string, spans: readonly SentSpan[], instance?: string): Buffer {
  const maker = new BinaryWriter().uint32(tag(1, 2)).bytes(attribute('service.name', service));
  if (instance !== undefined) maker.uint32(tag(1, 2)).bytes(attribute('service.instance.id', instance));
  const resource = maker.finish();
  const scope = new BinaryWriter();
  for (const span of spans) scope.uint32(tag(2, 2)).bytes(encodeSpan(span));
  const resourceSpans = new BinaryWriter();
  resourceSpans.uint32(tag(1, 2)).bytes(resource).uint32(tag(2, 2)).bytes(scope.finish());
  return Buffer.from(new BinaryWriter().uint32(tag(1, 2)).bytes(resourceSpans.finish()).finish());
}

function encodeSpan(span: SentSpan): Uint8Array {
  const { startNanos = 1n, endNanos = 2n, attributes = {}, events = [], links = [], dropped } = span;
  const writer = new BinaryWriter();
  writer.uint32(tag(1, 2)).bytes(hex(span.traceId)).uint32(tag(2, 2)).bytes(hex(span.spanId));
  if (span.parentSpanId !== undefined) writer.uint32(tag(4, 2)).bytes(hex(span.parentSpanId));
  writer.uint32(tag(5, 2)).string(span.name ?? 'span');
  writer.uint32(tag(6, 0)).int32(span.kind ?? 1);
  writer.uint32(tag(7, 1)).fixed64(startNanos).uint32(tag(8, 1)).fixed64(endNanos);
  for (const [name, value] of Object.entries(attributes)) writer.uint32(tag(9, 2)).bytes(attribute(name, value));
  for (const event of events) writer.uint32(tag(11, 2)).bytes(encodeEvent(event));
  if (dropped !== undefined) {
    writer.uint32(tag(10, 0)).uint32(dropped.attributes).uint32(tag(12, 0)).uint32(dropped.events);
    writer.uint32(tag(14, 0)).uint32(dropped.links);
  }
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

function encodeEvent({ name, nanos, attributes = {} }: SentEvent): Uint8Array {
  const writer = new BinaryWriter().uint32(tag(1, 1)).fixed64(nanos).uint32(tag(2, 2)).string(name);
  for (const [key, value] of Object.entries(attributes)) writer.uint32(tag(3, 2)).bytes(attribute(key, value));
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
