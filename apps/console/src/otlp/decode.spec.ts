import {
  SPAN_ATTRIBUTE_COUNT_MAX,
  SPAN_EVENT_ATTRIBUTE_COUNT_MAX,
  SPAN_EVENT_COUNT_MAX,
  SPAN_LINK_COUNT_MAX,
  SPAN_TEXT_CHARS_MAX,
} from '@partita/domain';
import { describe, expect, it } from 'vitest';
import { encodeExport } from '../testing/otlp-encode.ts';
import { decodeExportRequest } from './decode.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';
const PARENT = '53995c3f42cd8ad8';

describe('an export request', () => {
  it('is decoded with ids, kind, times, attributes, events, links and error', () => {
    const span = {
      ...{ traceId: TRACE, spanId: SPAN, parentSpanId: PARENT, name: 'append hello', kind: 4 },
      ...{ startNanos: 1_700_000_000_000_000_001n, endNanos: 1_700_000_000_000_000_900n },
      attributes: { text: 'a', yes: true, whole: -5n, half: 0.5, list: ['x', 'y'] },
      events: [
        { name: 'retry', nanos: 1_700_000_000_000_000_500n, attributes: { times: 2n } },
        { name: '', nanos: 0n },
      ],
      links: [[TRACE, PARENT]] as const,
      error: 'disk full',
    };
    expect(decodeExportRequest(encodeExport('partita-broker', [span], '2'))).toEqual([
      {
        ...{ traceId: TRACE, spanId: SPAN, parentSpanId: PARENT, name: 'append hello', kind: 'producer' },
        ...{ service: 'partita-broker', instance: '2' },
        ...{ startNanos: 1_700_000_000_000_000_001n, endNanos: 1_700_000_000_000_000_900n },
        attributes: [
          ['text', 'a'],
          ['yes', 'true'],
          ['whole', '-5'],
          ['half', '0.5'],
          ['list', 'x, y'],
        ],
        events: [
          { name: 'retry', nanos: 1_700_000_000_000_000_500n, attributes: [['times', '2']] },
          { name: '', nanos: 0n, attributes: [] },
        ],
        links: [`${TRACE}-${PARENT}`],
        dropped: { attributes: 0, events: 0, links: 0 },
        error: 'disk full',
      },
    ]);
  });

  it('loses spans whose ids are none, as OTLP asks', () => {
    const bytes = encodeExport('s', [
      { traceId: '00'.repeat(16), spanId: SPAN },
      { traceId: TRACE, spanId: '' },
      { traceId: TRACE, spanId: SPAN, name: 'kept' },
    ]);
    expect(decodeExportRequest(bytes).map(({ name }) => name)).toEqual(['kept']);
  });

  it('is cut to the limits of a span, and counts what is left out beside what the exporter did', () => {
    const attributes = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, index) => [`a${index}`, 'v'] as const));
    const event = { name: 'e'.repeat(9999), nanos: 1n, attributes: attributes(SPAN_EVENT_ATTRIBUTE_COUNT_MAX + 1) };
    const bytes = encodeExport('s', [
      {
        ...{ traceId: TRACE, spanId: SPAN, name: 'n'.repeat(10_000) },
        attributes: attributes(SPAN_ATTRIBUTE_COUNT_MAX + 9),
        events: Array.from({ length: SPAN_EVENT_COUNT_MAX + 4 }, () => event),
        links: Array.from({ length: SPAN_LINK_COUNT_MAX + 2 }, () => [TRACE, PARENT] as const),
        dropped: { attributes: 100, events: 0xff_ff_ff_ff, links: 1 },
      },
    ]);
    const [span] = decodeExportRequest(bytes);
    expect(span?.name.length).toBe(SPAN_TEXT_CHARS_MAX);
    expect(span?.attributes.length).toBe(SPAN_ATTRIBUTE_COUNT_MAX);
    expect(span?.events.length).toBe(SPAN_EVENT_COUNT_MAX);
    expect(span?.events[0]?.name.length).toBe(SPAN_TEXT_CHARS_MAX);
    expect(span?.events[0]?.attributes.length).toBe(SPAN_EVENT_ATTRIBUTE_COUNT_MAX);
    expect(span?.links.length).toBe(SPAN_LINK_COUNT_MAX);
    expect(span?.dropped).toEqual({ attributes: 109, events: 0xff_ff_ff_ff, links: 3 });
  });

  it('gives a span that ends before it starts no length', () => {
    const bytes = encodeExport('s', [{ traceId: TRACE, spanId: SPAN, startNanos: 9n, endNanos: 4n }]);
    expect(decodeExportRequest(bytes)[0]).toMatchObject({ startNanos: 9n, endNanos: 9n });
  });

  it('is refused when the bytes are something else', () => {
    const bytes = encodeExport('s', [{ traceId: TRACE, spanId: SPAN }]);
    expect(() => decodeExportRequest(bytes.subarray(0, bytes.length - 3))).toThrow();
  });
});
