import { describe, expect, it } from 'vitest';
import type { Span } from '../otlp/span.ts';
import { TraceStore } from './trace-store.ts';
import type { TraceFilter } from './trace-store.ts';

const ALL: TraceFilter = {
  ...{ service: '', topic: '', errorsOnly: false, durationNanosMin: 0n },
  ...{ begunFromNanos: undefined, begunBeforeNanos: undefined, isOperation: undefined },
};
const BOUNDS = {
  traceCountMax: 3,
  spanCountMax: 4,
  spansBytesMax: 2000,
  spansKeptCountMax: 8,
  spansKeptBytesMax: 3000,
};

function span(traceId: string, spanId: string, more: Partial<Span> = {}): Span {
  return {
    ...{ traceId, spanId, parentSpanId: '', name: spanId, kind: 'internal', service: 's', error: undefined },
    ...{ instance: '', attributes: [], events: [], links: [], startNanos: 1n, endNanos: 2n },
    dropped: { attributes: 0, events: 0, links: 0 },
    ...more,
  };
}

const ids = (store: TraceStore): string[] => store.list(ALL).map(({ traceId }) => traceId);

describe('a store of traces', () => {
  it('puts spans of several exports into one trace, whatever their order', () => {
    const store = new TraceStore();
    store.add([span('t', 'child', { parentSpanId: 'root', service: 'b', startNanos: 5n, endNanos: 30n, error: '' })]);
    expect(store.head('t')).toMatchObject({ rootName: 'child', spanCount: 1 });
    store.add([span('t', 'root', { startNanos: 3n, endNanos: 20n })]);
    expect(store.head('t')).toEqual({
      ...{ traceId: 't', rootName: 'root', startNanos: 3n, endNanos: 30n, spanCount: 2, error: true },
      ...{ services: ['s', 'b'], topics: [], isOperation: false, droppedSpanCount: 0 },
    });
  });

  it('counts a span once that is exported again', () => {
    const store = new TraceStore(BOUNDS);
    for (let times = 0; times < 10; times += 1) expect(store.add([span('t', 'a')])).toBe(0);
    expect(store.head('t')?.spanCount).toBe(1);
  });

  it('lists what fits: service, topic, length, error, and when it began', () => {
    const store = new TraceStore();
    const about = (topic: string) => ({ attributes: [['messaging.destination.name', topic] as const] });
    store.add([span('a', '1', { startNanos: 10n, endNanos: 11n, ...about('orders') })]);
    store.add([span('b', '1', { startNanos: 30n, endNanos: 90n, ...about('order') })]);
    store.add([span('c', '1', { startNanos: 20n, endNanos: 21n, service: 'broker', error: 'no' })]);
    store.add([span('c', '2', { startNanos: 21n, endNanos: 22n, ...about('orders') })]);
    const idsOf = (more: Partial<TraceFilter>) => store.list({ ...ALL, ...more }).map(({ traceId }) => traceId);
    expect(idsOf({})).toEqual(['a', 'b', 'c']);
    expect(idsOf({ service: 'broker' })).toEqual(['c']);
    expect(idsOf({ errorsOnly: true })).toEqual(['c']);
    expect(idsOf({ durationNanosMin: 60n })).toEqual(['b']);
    expect(idsOf({ topic: 'orders' })).toEqual(['a', 'c']);
    expect(idsOf({ begunFromNanos: 20n })).toEqual(['b', 'c']);
    expect(idsOf({ begunFromNanos: 10n, begunBeforeNanos: 20n })).toEqual(['a']);
    expect(idsOf({ topic: 'orders', begunBeforeNanos: 11n, errorsOnly: true })).toEqual([]);
  });

  it('tells what clients began from what services did by themselves', () => {
    const store = new TraceStore();
    const operation = { attributes: [['partita.operation', 'elect'] as const] };
    store.add([span('client', '1')]);
    store.add([span('elect', '1', operation), span('elect', '2', { parentSpanId: '1' })]);
    // An operator's own trace, with an election in it; and an election whose beginning has not come.
    store.add([span('operator', '1'), span('operator', '2', { parentSpanId: '1', ...operation })]);
    store.add([span('late', '2', { parentSpanId: '1' }), span('late', '3', { parentSpanId: '1', ...operation })]);
    const idsOf = (isOperation: boolean) => store.list({ ...ALL, isOperation }).map(({ traceId }) => traceId);
    expect(idsOf(false)).toEqual(['client', 'operator']);
    expect(idsOf(true)).toEqual(['elect', 'late']);
  });

  it('forgets the traces that came first beyond its bounds', () => {
    const store = new TraceStore(BOUNDS);
    for (const traceId of ['a', 'b', 'c', 'd']) store.add([span(traceId, '1')]);
    expect(ids(store).sort()).toEqual(['b', 'c', 'd']);
    store.add(['1', '2', '3', '4'].map((spanId) => span('d', spanId)));
    store.add(['1', '2', '3', '4'].map((spanId) => span('e', spanId)));
    expect(ids(store).sort()).toEqual(['d', 'e']);
  });

  it('leaves out the spans of one trace that are too many, and says so', () => {
    const store = new TraceStore(BOUNDS);
    expect(store.add(['1', '2', '3', '4', '5', '6'].map((spanId) => span('t', spanId)))).toBe(2);
    expect(store.spans('t').length).toBe(4);
    expect(store.head('t')).toMatchObject({ spanCount: 4, droppedSpanCount: 2 });
    store.add([span('t', '7'), span('t', '1')]);
    expect(store.head('t')?.droppedSpanCount).toBe(3);
  });

  it('counts the texts of spans, of one trace and of all', () => {
    const store = new TraceStore(BOUNDS);
    const long = { attributes: [['text', 'é'.repeat(350)] as const] };
    expect(store.add(['1', '2', '3'].map((spanId) => span('a', spanId, long)))).toBe(1);
    expect(store.spans('a').length).toBe(2);
    expect(store.add(['1', '2'].map((spanId) => span('b', spanId, long)))).toBe(0);
    expect(ids(store)).toEqual(['b']);
  });

  it('counts events of spans too', () => {
    const store = new TraceStore(BOUNDS);
    const event = { name: 'é'.repeat(200), nanos: 1n, attributes: [['x', 'y'.repeat(400)] as const] };
    expect(store.add(['1', '2', '3'].map((spanId) => span('a', spanId, { events: [event] })))).toBe(1);
  });

  it('tells what came since a head was asked for', () => {
    const store = new TraceStore();
    store.add([span('t', '1')]);
    expect(store.head('t')).toBe(store.head('t'));
    store.add([span('t', '2', { error: 'no' })]);
    expect(store.head('t')).toMatchObject({ spanCount: 2, error: true });
  });

  it('hands out parents before their children, and spans that are their own parents too', () => {
    const store = new TraceStore();
    store.add([
      span('t', 'leaf', { parentSpanId: 'mid', startNanos: 1n }),
      span('t', 'mid', { parentSpanId: 'root', startNanos: 2n }),
      span('t', 'root', { startNanos: 3n }),
      span('t', 'x', { parentSpanId: 'y' }),
      span('t', 'y', { parentSpanId: 'x' }),
    ]);
    const order = store.spans('t').map(({ spanId }) => spanId);
    expect(order.slice(0, 3)).toEqual(['root', 'mid', 'leaf']);
    expect(order.slice(3).sort()).toEqual(['x', 'y']);
  });
});
