import { SPAN_ATTRIBUTE_COUNT_MAX, SPAN_TEXT_CHARS_MAX } from '@partita/domain';
import { describe, expect, it } from 'vitest';
import { encodeExport } from '../testing/otlp-encode.ts';
import { decodeExportRequest } from './decode.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';
const PARENT = '53995c3f42cd8ad8';

describe('an export request', () => {
  it('is decoded with ids, kind, times, attributes, links and error', () => {
    const bytes = encodeExport('partita-broker', [
      {
        ...{ traceId: TRACE, spanId: SPAN, parentSpanId: PARENT, name: 'append hello', kind: 4 },
        ...{ startNanos: 1_700_000_000_000_000_001n, endNanos: 1_700_000_000_000_000_900n },
        attributes: { text: 'a', yes: true, whole: -5n, half: 0.5, list: ['x', 'y'] },
        links: [[TRACE, PARENT]],
        error: 'disk full',
      },
    ]);
    expect(decodeExportRequest(bytes)).toEqual([
      {
        ...{ traceId: TRACE, spanId: SPAN, parentSpanId: PARENT, name: 'append hello', kind: 'producer' },
        service: 'partita-broker',
        ...{ startNanos: 1_700_000_000_000_000_001n, endNanos: 1_700_000_000_000_000_900n },
        attributes: [
          ['text', 'a'],
          ['yes', 'true'],
          ['whole', '-5'],
          ['half', '0.5'],
          ['list', 'x, y'],
        ],
        links: [`${TRACE}-${PARENT}`],
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

  it('is cut to the limits of a span', () => {
    const many = Array.from({ length: SPAN_ATTRIBUTE_COUNT_MAX + 9 }, (_, index) => [`a${index}`, 'v'] as const);
    const bytes = encodeExport('s', [
      { traceId: TRACE, spanId: SPAN, name: 'n'.repeat(10_000), attributes: Object.fromEntries(many) },
    ]);
    const [span] = decodeExportRequest(bytes);
    expect(span?.name.length).toBe(SPAN_TEXT_CHARS_MAX);
    expect(span?.attributes.length).toBe(SPAN_ATTRIBUTE_COUNT_MAX);
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
