import { BatchBuilder, CODEC_NONE } from '@partita/batch';
import { SpanKind, trace } from '@opentelemetry/api';
import type { Context, Span, SpanOptions, TracerProvider } from '@opentelemetry/api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { beginBatchSpans, beginReceiveSpan } from './receive-span.ts';

const PARENT = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' };
const OWN_SPAN_ID = '00f067aa0ba902b7';

interface Begun {
  readonly name: string;
  readonly options: SpanOptions;
  readonly parentSpanId: string | undefined;
}

const begun: Begun[] = [];

/** The least that the API takes for a provider: spans that record, in their parent's trace. */
const provider: TracerProvider = {
  getTracer: () => ({
    startSpan(name: string, options: SpanOptions = {}, context?: Context): Span {
      const parent = context === undefined ? undefined : trace.getSpanContext(context);
      begun.push({ name, options, parentSpanId: parent?.spanId });
      const own = { traceId: parent?.traceId ?? '', spanId: OWN_SPAN_ID, traceFlags: 1 };
      return { isRecording: () => true, spanContext: () => own, end: () => undefined } as unknown as Span;
    },
    startActiveSpan: () => {
      throw new Error('not used');
    },
  }),
};

function consumed(traceparent: string) {
  const record = { headers: [], timestampMs: 1n, traceparent, tracestate: '' };
  return { offset: 7n, record, leaderEpoch: 1, appendTimeMs: 1n };
}

const SOURCE = { group: 'g', topic: 'flights', partition: 3 };

beforeAll(() => void trace.setGlobalTracerProvider(provider));
afterAll(() => trace.disable());

describe('the receive span', () => {
  it('continues the trace of a sampled record, and the record goes on with it', () => {
    const one = consumed(`00-${PARENT.traceId}-${PARENT.spanId}-01`);
    expect(beginReceiveSpan(one, SOURCE)).toBeDefined();
    expect(begun.at(-1)).toMatchObject({
      name: 'receive flights',
      parentSpanId: PARENT.spanId,
      options: {
        kind: SpanKind.CONSUMER,
        attributes: {
          'messaging.system': 'partita',
          'messaging.destination.name': 'flights',
          'messaging.destination.partition.id': '3',
          'messaging.consumer.group.name': 'g',
        },
      },
    });
    expect(one.record.traceparent).toBe(`00-${PARENT.traceId}-${OWN_SPAN_ID}-01`);
  });

  it.each(['', 'garbage', `00-${PARENT.traceId}-${PARENT.spanId}-00`])('is not made for %j', (traceparent) => {
    const count = begun.length;
    const one = consumed(traceparent);
    expect(beginReceiveSpan(one, SOURCE)).toBeUndefined();
    expect(begun).toHaveLength(count);
    expect(one.record.traceparent).toBe(traceparent);
  });

  it('is made for each sampled record of a batch that is passed on as it is, which stays as it is', () => {
    const builder = new BatchBuilder();
    const sampled = `00-${PARENT.traceId}-${PARENT.spanId}-01`;
    for (const traceparent of [sampled, '', sampled])
      builder.tryAdd({ value: Buffer.from('a'), timestampMs: 1n, traceparent });
    const batch = builder.build({ codec: CODEC_NONE });
    const before = Buffer.from(batch);
    const count = begun.length;
    expect(beginBatchSpans(batch, SOURCE)).toHaveLength(2);
    expect(begun.slice(count).map(({ parentSpanId }) => parentSpanId)).toEqual([PARENT.spanId, PARENT.spanId]);
    expect(before.equals(batch)).toBe(true);
    expect(beginBatchSpans(batch.subarray(0, 100), SOURCE)).toEqual([]);
  });
});
