/**
 * Decodes an ExportTraceServiceRequest (opentelemetry.proto.collector.trace.v1) as far as tests look at it. By field
 * numbers, so that the suites need no copy of the OpenTelemetry protos:
 *
 *   request  { 1 resource_spans { 1 resource { 1 attributes }  2 scope_spans { 2 spans } } }
 *   span     { 1 trace_id  2 span_id  4 parent_span_id  5 name  6 kind  7 start  8 end  9 attributes  13 links  15 status }
 *   link     { 1 trace_id  2 span_id }       status { 2 message  3 code }
 *   keyvalue { 1 key  2 value { 1 string  2 bool  3 int  4 double } }
 */
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';

export const SPAN_KINDS = ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer'] as const;

/** One span as an exporter sent it. Ids are lower-case hexadecimal; an absent parent is ''. */
export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly name: string;
  readonly kind: (typeof SPAN_KINDS)[number];
  /** `service.name` of its resource. */
  readonly service: string;
  /** Values as text; lists and maps are left out. */
  readonly attributes: Readonly<Record<string, string>>;
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly error: boolean;
  readonly startNanos: bigint;
  readonly endNanos: bigint;
}

/** Throws on bytes that are no such message. */
export function decodeExportRequest(bytes: Uint8Array): ReceivedSpan[] {
  const spans: ReceivedSpan[] = [];
  eachMessage(bytes, 1, (resourceSpans) => spans.push(...decodeResourceSpans(resourceSpans)));
  return spans;
}

function decodeResourceSpans(bytes: Uint8Array): ReceivedSpan[] {
  const resource: Record<string, string> = {};
  eachMessage(bytes, 1, (message) => eachMessage(message, 1, (pair) => addAttribute(resource, pair)));
  const spans: ReceivedSpan[] = [];
  const service = resource['service.name'] ?? '';
  eachMessage(bytes, 2, (scope) => eachMessage(scope, 2, (span) => spans.push(decodeSpan(span, service))));
  return spans;
}

function decodeSpan(bytes: Uint8Array, service: string): ReceivedSpan {
  const span = {
    ...{ traceId: '', spanId: '', parentSpanId: '', name: '', error: false, startNanos: 0n, endNanos: 0n },
    kind: 'unspecified' as ReceivedSpan['kind'],
    attributes: {} as Record<string, string>,
    links: [] as { traceId: string; spanId: string }[],
    service,
  };
  const readers: Readonly<Record<number, (reader: BinaryReader) => void>> = {
    1: (reader) => (span.traceId = hex(reader.bytes())),
    2: (reader) => (span.spanId = hex(reader.bytes())),
    4: (reader) => (span.parentSpanId = hex(reader.bytes())),
    5: (reader) => (span.name = reader.string()),
    6: (reader) => (span.kind = SPAN_KINDS[reader.int32()] ?? 'unspecified'),
    7: (reader) => (span.startNanos = BigInt(reader.fixed64())),
    8: (reader) => (span.endNanos = BigInt(reader.fixed64())),
    9: (reader) => addAttribute(span.attributes, reader.bytes()),
    13: (reader) => span.links.push(decodeLink(reader.bytes())),
    15: (reader) => (span.error = isError(reader.bytes())),
  };
  eachField(bytes, (number, _type, reader) => {
    const read = readers[number];
    read?.(reader);
    return read !== undefined;
  });
  return span;
}

function decodeLink(bytes: Uint8Array): { traceId: string; spanId: string } {
  const link = { traceId: '', spanId: '' };
  eachField(bytes, (number, _type, reader) => {
    if (number === 1) link.traceId = hex(reader.bytes());
    else if (number === 2) link.spanId = hex(reader.bytes());
    else return false;
    return true;
  });
  return link;
}

function isError(status: Uint8Array): boolean {
  const STATUS_CODE_ERROR = 2;
  let error = false;
  eachField(status, (number, _type, reader) => {
    if (number !== 3) return false;
    error = reader.int32() === STATUS_CODE_ERROR;
    return true;
  });
  return error;
}

function addAttribute(attributes: Record<string, string>, pair: Uint8Array): void {
  let key = '';
  let value: string | undefined;
  eachField(pair, (number, _type, reader) => {
    if (number === 1) key = reader.string();
    else if (number === 2) value = decodeValue(reader.bytes());
    else return false;
    return true;
  });
  if (value !== undefined) attributes[key] = value;
}

function decodeValue(bytes: Uint8Array): string | undefined {
  let text: string | undefined;
  eachField(bytes, (number, _type, reader) => {
    if (number === 1) text = reader.string();
    else if (number === 2) text = String(reader.bool());
    else if (number === 3) text = String(reader.int64());
    else if (number === 4) text = String(reader.double());
    else return false;
    return true;
  });
  return text;
}

/** Calls `take` with the bytes of each occurrence of one message field. */
function eachMessage(bytes: Uint8Array, field: number, take: (message: Uint8Array) => void): void {
  eachField(bytes, (number, type, reader) => {
    if (number !== field || type !== WireType.LengthDelimited) return false;
    take(reader.bytes());
    return true;
  });
}

/** Calls `take` at each field; it returns true when it has read the field, else the field is skipped. */
function eachField(bytes: Uint8Array, take: (number: number, type: WireType, reader: BinaryReader) => boolean): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag();
    if (!take(number, type, reader)) reader.skip(type, number);
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
