import { SpanKind, trace } from '@opentelemetry/api';
import { afterEach, expect, test } from 'vitest';
import { activeTracer, failSpan, processSpan, sendSpan } from './spans.ts';
import { traceparentOf } from './trace-context.ts';
import { listSpans } from './testing/span-list.ts';
import type { ReceivedRecord } from './record-form.ts';

afterEach(() => trace.disable());

function received(traceparent: string): ReceivedRecord {
  const none = {
    key: undefined,
    value: undefined,
    headers: [],
    timestampMs: 0,
    appendTimeMs: 0,
    leaderEpoch: 1,
    tracestate: '',
  };
  return { topic: 't', partition: 2, offset: 7n, traceparent, ...none };
}

test('there is no tracer unless the process has set one up', () => {
  expect(activeTracer()).toBeUndefined();
  trace.setGlobalTracerProvider(listSpans().provider);
  expect(activeTracer()).toBeDefined();
});

test('the processing of a record is a child of the span that sent it', () => {
  const { provider, spans } = listSpans();
  const tracer = provider.getTracer('partita');
  const sent = sendSpan(tracer, 't', 1);
  const { span } = processSpan(tracer, 'billing', received(traceparentOf(sent)));
  expect(spans.map(({ name, kind }) => [name, kind])).toEqual([
    ['send t', SpanKind.PRODUCER],
    ['process t', SpanKind.CONSUMER],
  ]);
  expect(span.spanContext().traceId).toBe(sent.spanContext().traceId);
  expect(spans[1]?.parent?.spanId).toBe(sent.spanContext().spanId);
  expect(spans[1]?.attributes).toMatchObject({
    'messaging.consumer.group.name': 'billing',
    'messaging.partita.offset': '7',
  });
});

test('a record without a trace begins one', () => {
  const { provider, spans } = listSpans();
  processSpan(provider.getTracer('partita'), 'g', received(''));
  expect(spans[0]?.parent).toBeUndefined();
});

test('a failure is told on the span', () => {
  const { provider, spans } = listSpans();
  failSpan(sendSpan(provider.getTracer('partita'), 't', 3), new Error('refused'));
  expect(spans[0]?.status).toEqual({ code: 2, message: 'refused' });
  expect(spans[0]?.attributes['messaging.batch.message_count']).toBe(3);
});
