/**
 * Decodes an ExportTraceServiceRequest (opentelemetry.proto.collector.trace.v1) as far as the console shows it, by field
 * numbers, which OTLP never changes:
 *
 *   request  { 1 resource_spans { 1 resource { 1 attributes }  2 scope_spans { 2 spans } } }
 *   span     { 1 trace_id  2 span_id  4 parent_span_id  5 name  6 kind  7 start  8 end  9 attributes  10 dropped attributes
 *              11 events  12 dropped events  13 links  14 dropped links  15 status }
 *   event    { 1 time  2 name  3 attributes }
 *   link     { 1 trace_id  2 span_id }       status { 2 message  3 code }
 *   keyvalue { 1 key  2 value { 1 string  2 bool  3 int  4 double  5 array { 1 values } } }
 */
import { BinaryReader } from '@bufbuild/protobuf/wire';
import {
  SPAN_ATTRIBUTE_COUNT_MAX,
  SPAN_EVENT_ATTRIBUTE_COUNT_MAX,
  SPAN_EVENT_COUNT_MAX,
  SPAN_LINK_COUNT_MAX,
  SPAN_TEXT_CHARS_MAX,
} from '@partita/domain';
import { BoundedList } from './bounded-list.ts';
import { SPAN_KINDS } from './span.ts';
import type { Attribute, Span, SpanEvent, SpanKind } from './span.ts';

const STATUS_CODE_ERROR = 2;
const TRACE_ID_BYTES = 16;
const SPAN_ID_BYTES = 8;

type Reads = Readonly<Record<number, (reader: BinaryReader) => void>>;

/** Spans without valid ids are left out, as OTLP asks. Throws on bytes that are no such message. */
export function decodeExportRequest(bytes: Uint8Array): Span[] {
  const spans: Span[] = [];
  readFields(bytes, { 1: (reader) => decodeResourceSpans(reader.bytes(), spans) });
  return spans;
}

function decodeResourceSpans(bytes: Uint8Array, spans: Span[]): void {
  const maker = { service: '', instance: '' };
  const encoded: Uint8Array[] = [];
  const readAttribute = (reader: BinaryReader): void => {
    const [name, value] = decodeAttribute(reader.bytes());
    if (name === 'service.name') maker.service = value;
    if (name === 'service.instance.id') maker.instance = value;
  };
  readFields(bytes, {
    1: (reader) => readFields(reader.bytes(), { 1: readAttribute }),
    2: (reader) => readFields(reader.bytes(), { 2: (scope) => encoded.push(scope.bytes()) }),
  });
  for (const span of encoded) {
    const decoded = decodeSpan(span, maker);
    if (decoded !== undefined) spans.push(decoded);
  }
}

function decodeSpan(bytes: Uint8Array, maker: Pick<Span, 'service' | 'instance'>): Span | undefined {
  let [traceId, spanId, parentSpanId, name] = ['', '', '', ''];
  let kind: SpanKind = 'unspecified';
  let [startNanos, endNanos] = [0n, 0n];
  let error: string | undefined;
  const attributes = new BoundedList<Attribute>(SPAN_ATTRIBUTE_COUNT_MAX);
  const events = new BoundedList<SpanEvent>(SPAN_EVENT_COUNT_MAX);
  const links = new BoundedList<string>(SPAN_LINK_COUNT_MAX);
  readFields(bytes, {
    1: (reader) => (traceId = idText(reader.bytes(), TRACE_ID_BYTES)),
    2: (reader) => (spanId = idText(reader.bytes(), SPAN_ID_BYTES)),
    4: (reader) => (parentSpanId = idText(reader.bytes(), SPAN_ID_BYTES)),
    5: (reader) => (name = cut(reader.string())),
    6: (reader) => (kind = SPAN_KINDS[reader.int32()] ?? 'unspecified'),
    7: (reader) => (startNanos = BigInt(reader.fixed64())),
    8: (reader) => (endNanos = BigInt(reader.fixed64())),
    9: (reader) => attributes.add(reader.bytes(), decodeAttribute),
    10: (reader) => attributes.dropped(reader.uint32()),
    11: (reader) => events.add(reader.bytes(), decodeEvent),
    12: (reader) => events.dropped(reader.uint32()),
    13: (reader) => links.add(reader.bytes(), decodeLink),
    14: (reader) => links.dropped(reader.uint32()),
    15: (reader) => (error = decodeError(reader.bytes())),
  });
  if (traceId === '' || spanId === '') return undefined;
  return {
    ...{ traceId, spanId, parentSpanId, name, kind, ...maker, error },
    ...{ attributes: attributes.items, events: events.items, links: links.items },
    dropped: { attributes: attributes.droppedCount, events: events.droppedCount, links: links.droppedCount },
    startNanos,
    endNanos: endNanos < startNanos ? startNanos : endNanos,
  };
}

function decodeEvent(bytes: Uint8Array): SpanEvent {
  let [nanos, name] = [0n, ''];
  const attributes = new BoundedList<Attribute>(SPAN_EVENT_ATTRIBUTE_COUNT_MAX);
  readFields(bytes, {
    1: (reader) => (nanos = BigInt(reader.fixed64())),
    2: (reader) => (name = cut(reader.string())),
    3: (reader) => attributes.add(reader.bytes(), decodeAttribute),
  });
  return { name, nanos, attributes: attributes.items };
}

function decodeLink(bytes: Uint8Array): string {
  let [traceId, spanId] = ['', ''];
  readFields(bytes, {
    1: (reader) => (traceId = idText(reader.bytes(), TRACE_ID_BYTES)),
    2: (reader) => (spanId = idText(reader.bytes(), SPAN_ID_BYTES)),
  });
  return `${traceId}-${spanId}`;
}

/** The text of a failed status, which may be empty; undefined for one that is no failure. */
function decodeError(bytes: Uint8Array): string | undefined {
  let [code, message] = [0, ''];
  readFields(bytes, {
    2: (reader) => (message = cut(reader.string())),
    3: (reader) => (code = reader.int32()),
  });
  return code === STATUS_CODE_ERROR ? message : undefined;
}

function decodeAttribute(bytes: Uint8Array): Attribute {
  let [name, value] = ['', ''];
  readFields(bytes, {
    1: (reader) => (name = cut(reader.string())),
    2: (reader) => (value = cut(decodeValue(reader.bytes(), true))),
  });
  return [name, value];
}

/** As text. Lists are shown one level deep, maps and bytes not at all: nobody nests them in spans. */
function decodeValue(bytes: Uint8Array, listToo: boolean): string {
  let text = '';
  readFields(bytes, {
    1: (reader) => (text = reader.string()),
    2: (reader) => (text = String(reader.bool())),
    3: (reader) => (text = String(reader.int64())),
    4: (reader) => (text = String(reader.double())),
    5: (reader) => {
      const list = reader.bytes();
      if (!listToo) return;
      const items = new BoundedList<string>(SPAN_ATTRIBUTE_COUNT_MAX);
      readFields(list, { 1: (item) => items.add(item.bytes(), (value) => decodeValue(value, false)) });
      text = items.items.join(', ');
    },
  });
  return text;
}

/** Calls the read of each field that has one, in the order of the bytes; other fields are skipped. */
function readFields(bytes: Uint8Array, reads: Reads): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag();
    const read = reads[number];
    if (read === undefined) reader.skip(type, number);
    else read(reader);
  }
}

/** Hexadecimal, or the empty text for what is no id: of another length, or all zero. */
function idText(bytes: Uint8Array, length: number): string {
  if (bytes.length !== length || bytes.every((byte) => byte === 0)) return '';
  return Buffer.from(bytes).toString('hex');
}

function cut(text: string): string {
  return text.length <= SPAN_TEXT_CHARS_MAX ? text : `${text.slice(0, SPAN_TEXT_CHARS_MAX - 1)}…`;
}
