import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { TRACE_COUNT_MAX, TRACE_SPAN_COUNT_MAX } from '@partita/domain';
import { describe, expect, it } from 'vitest';
import { decodeExportRequest } from '../otlp/decode.ts';
import type { Span } from '../otlp/span.ts';
import { encodeExport } from '../testing/otlp-encode.ts';
import { TraceStore } from './trace-store.ts';

const hex = (value: number, digits: number): string => (value + 1).toString(16).padStart(digits, '0');
const traceId = (index: number): string => hex(index, 32);
const spanId = (index: number): string => hex(index, 16);
const MIB = 1024 * 1024;

/** Bytes of the heap that are in use, with what can be collected collected. */
function heapBytes(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return process.memoryUsage().heapUsed;
}

function* spansOfOneTrace(count: number, perExport: number): Generator<Span[], void, undefined> {
  for (let from = 0; from < count; from += perExport) {
    const spans = Array.from({ length: perExport }, (_, index) => ({
      ...{ traceId: traceId(0), spanId: spanId(from + index), name: 'append flood' },
      attributes: { 'messaging.destination.name': 'flood' },
    }));
    yield decodeExportRequest(encodeExport('partita-broker', spans));
  }
}

describe('a flood of spans', () => {
  it('of one trace leaves the first 2,000 of it, and how many more came', () => {
    const store = new TraceStore();
    let leftOut = 0;
    for (const spans of spansOfOneTrace(100_000, 1000)) leftOut += store.add(spans);
    expect(leftOut).toBe(100_000 - TRACE_SPAN_COUNT_MAX);
    expect(store.head(traceId(0))).toMatchObject({ spanCount: TRACE_SPAN_COUNT_MAX, droppedSpanCount: leftOut });
    expect(store.spans(traceId(0)).map((span) => span.spanId)).toEqual(
      Array.from({ length: TRACE_SPAN_COUNT_MAX }, (_, index) => spanId(index)),
    );
  });

  it('of a million traces leaves the last 2,000, in memory that does not grow', () => {
    const store = new TraceStore();
    const [[span] = []] = spansOfOneTrace(1, 1);
    if (span === undefined) throw new Error('no span was decoded');
    const addTraces = (from: number, until: number): void => {
      for (let index = from; index < until; index += 1) {
        store.add([{ ...span, traceId: traceId(index), name: `append ${index}`, attributes: [['n', `${index}`]] }]);
      }
    };
    addTraces(0, 2 * TRACE_COUNT_MAX);
    const beforeBytes = heapBytes();
    addTraces(2 * TRACE_COUNT_MAX, 1_000_000);
    expect(heapBytes() - beforeBytes).toBeLessThan(8 * MIB);
    expect(store.idsBeginningWith('')).toEqual(
      Array.from({ length: TRACE_COUNT_MAX }, (_, index) => traceId(1_000_000 - TRACE_COUNT_MAX + index)),
    );
  });
});
