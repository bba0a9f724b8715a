import { METRIC_SERIES_COUNT_MAX, METRIC_TOPIC_COUNT_MAX } from '@partita/domain';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DURATION_BUCKETS } from './buckets.ts';
import { INSTRUMENTS } from './instrument-table.ts';
import type { InstrumentRow } from './instrument.ts';
import { MetricRegistry } from './metric-registry.ts';
import { NO_METRICS } from './metrics.ts';

function numbersOf(registry: MetricRegistry, name: string): Record<string, number> {
  const collected = registry.collect().find((one) => one.name === name);
  return Object.fromEntries(
    (collected?.numbers ?? []).map(({ labels, value }) => [Object.values(labels).join('/'), value]),
  );
}

describe('the table of instruments', () => {
  it.each(Object.entries<InstrumentRow>(INSTRUMENTS))('says all about %s', (name, row) => {
    expect(name).toMatch(/^(partita|nodejs|v8js|process)(\.[a-z0-9_]+)+$/);
    expect(row.description).toMatch(/^[A-Z0-9].*\.$/);
    expect(row.buckets === undefined).toBe(row.kind !== 'histogram');
    if (row.merge !== undefined) expect(row.kind).toBe('gauge');
    expect(Object.keys(row.labels ?? {})).not.toContain('client_id');
  });
});

describe('a registry of metrics', () => {
  it('counts by labels, and finds the same series again', () => {
    const registry = new MetricRegistry();
    const records = registry.counter('partita.broker.append.records');
    const orders = records.of({ topic: 'orders' });
    orders.add(3);
    records.of({ topic: 'orders' }).add(4);
    registry.counter('partita.broker.append.records').of({ topic: 'flights' }).add(1);
    expect(numbersOf(registry, 'partita.broker.append.records')).toEqual({ orders: 7, flights: 1 });
  });

  it('tells a series that was asked for and never counted as 0', () => {
    const registry = new MetricRegistry();
    registry.counter('partita.broker.leader.changes').of({ change: 'began' });
    expect(numbersOf(registry, 'partita.broker.leader.changes')).toEqual({ began: 0 });
  });

  it('takes as types only the labels of the row', () => {
    const registry = new MetricRegistry();
    const records = registry.counter('partita.broker.append.records');
    // @ts-expect-error -- the label is called topic
    records.of({ topics: 'orders' });
    // @ts-expect-error -- it has a label
    records.of();
    // @ts-expect-error -- a value that is not of the set
    registry.counter('partita.broker.leader.changes').of({ change: 'paused' });
    // @ts-expect-error -- no such instrument
    expect(() => registry.counter('partita.broker.append.record')).toThrow();
    // @ts-expect-error -- no labels
    registry.histogram('partita.broker.commit.duration').of({ topic: 'orders' });
  });

  it('puts topics beyond the bound together, and loses nothing of the sum', () => {
    const registry = new MetricRegistry();
    const records = registry.counter('partita.broker.append.records');
    for (let index = 0; index < METRIC_TOPIC_COUNT_MAX + 5; index += 1) records.of({ topic: `t${index}` }).add(2);
    const numbers = numbersOf(registry, 'partita.broker.append.records');
    expect(Object.keys(numbers)).toHaveLength(METRIC_TOPIC_COUNT_MAX + 1);
    expect(numbers['_other']).toBe(10);
  });

  it('bounds the series of an instrument with two open labels', () => {
    const registry = new MetricRegistry();
    const delivered = registry.counter('partita.group.delivered.records');
    for (let group = 0; group < 150; group += 1) {
      for (let topic = 0; topic < 100; topic += 1) delivered.of({ group: `g${group}`, topic: `t${topic}` }).add(1);
    }
    const numbers = numbersOf(registry, 'partita.group.delivered.records');
    expect(Object.keys(numbers)).toHaveLength(METRIC_SERIES_COUNT_MAX + 1);
    expect(numbers['_other/_other']).toBe(15_000 - METRIC_SERIES_COUNT_MAX);
  });

  it('reads what is observed at each collection, and merges it by the labels', () => {
    const registry = new MetricRegistry();
    let value = 1;
    const stop = registry.observe('partita.rpc.server.calls', (report) => report(value));
    registry.observe('partita.rpc.server.calls', (report) => report(10));
    registry.observe('partita.group.lag.age', (report) => report(3, { group: 'g', topic: 't' }));
    registry.observe('partita.group.lag.age', (report) => report(2, { group: 'g', topic: 't' }));
    expect(numbersOf(registry, 'partita.rpc.server.calls')).toEqual({ '': 11 });
    value = 5;
    expect(numbersOf(registry, 'partita.rpc.server.calls')).toEqual({ '': 15 });
    stop();
    expect(numbersOf(registry, 'partita.rpc.server.calls')).toEqual({ '': 10 });
    expect(numbersOf(registry, 'partita.group.lag.age')).toEqual({ 'g/t': 3 });
  });

  it('lets several observers look once', () => {
    const registry = new MetricRegistry();
    let looks = 0;
    registry.beforeCollect(() => (looks += 1));
    registry.observe('partita.coordinator.topics', (report) => report(looks));
    registry.observe('partita.coordinator.partitions', (report) => report(looks));
    registry.collect();
    expect(numbersOf(registry, 'partita.coordinator.topics')).toEqual({ '': 2 });
    expect(looks).toBe(2);
  });

  it('gives the room of what is no longer observed to what is', () => {
    const registry = new MetricRegistry();
    let first = 0;
    registry.observe('partita.group.members', (report) => {
      for (let index = 0; index < 800; index += 1) report(1, { group: `g${first + index}` });
    });
    registry.collect();
    first = 5000;
    expect(Object.keys(numbersOf(registry, 'partita.group.members'))).toContain('g5799');
  });

  it('leaves out what is no number', () => {
    const registry = new MetricRegistry();
    registry.observe('process.uptime', (report) => report(Number.NaN));
    expect(numbersOf(registry, 'process.uptime')).toEqual({});
  });

  it('puts each value into the bucket whose bound is the first not below it', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 20, noNaN: true })), (values) => {
        const series = new MetricRegistry().histogram('partita.broker.append.duration').of({ acks: 'all' });
        const expected = new Array<number>(DURATION_BUCKETS.length + 1).fill(0);
        for (const value of [...values, ...DURATION_BUCKETS]) {
          series.record(value);
          const at = DURATION_BUCKETS.findIndex((bound) => value <= bound);
          const index = at < 0 ? DURATION_BUCKETS.length : at;
          expected[index] = (expected[index] ?? 0) + 1;
        }
        expect(series.counts).toEqual(expected);
        expect(series.count).toBe(values.length + DURATION_BUCKETS.length);
        const sum = [...values, ...DURATION_BUCKETS].reduce((total, value) => total + value, 0);
        expect(series.sum).toBeCloseTo(sum, 6);
      }),
    );
  });
});

describe('no metrics', () => {
  it('take everything and keep nothing', () => {
    expect(NO_METRICS.isOn).toBe(false);
    NO_METRICS.counter('partita.broker.append.records').of({ topic: 'orders' }).add(1);
    NO_METRICS.histogram('partita.broker.commit.duration').of().record(1);
    NO_METRICS.gauge('partita.rpc.server.calls').of().set(1);
    const stop = NO_METRICS.observe('process.uptime', () => expect.unreachable());
    stop();
    // One object for all of them: nothing is allocated by asking.
    expect(NO_METRICS.counter('partita.log.errors').of({ level: 'warn' })).toBe(
      NO_METRICS.histogram('partita.broker.log.write.bytes').of(),
    );
  });
});
