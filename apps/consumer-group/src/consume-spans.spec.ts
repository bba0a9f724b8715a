import { SpanKind, TraceFlags } from '@opentelemetry/api';
import { DeliveryForm } from '@partita/protocol';
import { SpanRecorder } from '@partita/testkit';
import type { RecordedSpan } from '@partita/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { ServiceWorld } from './testing/service-world.ts';

const recorder = new SpanRecorder();
beforeAll(() => recorder.register());
const world = new ServiceWorld({ tracing: 'roots' });
const { topic, member, cluster } = world;
afterAll(() => recorder.unregister());
afterEach(() => {
  expect(open()).toEqual([]);
  recorder.clear();
});

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const traced = (spanId: string, flags = '01', traceId = TRACE_ID): string => `00-${traceId}-${spanId}-${flags}`;
const SEND = 'b7ad6b7169203331';
const record = (value: string, traceparent: string) => ({ value: Buffer.from(value), timestampMs: 1n, traceparent });
const traceparentOf = (span: RecordedSpan | undefined): string => traced(span?.spanContext().spanId ?? '');
/** Without those of calls, and of what the group does by itself. */
const own = (): RecordedSpan[] =>
  recorder.spans.filter(({ name, attributes }) => !name.includes('/') && attributes['partita.operation'] === undefined);
const open = (): string[] => own().flatMap(({ name, ended }) => (ended ? [] : [name]));
const parentOf = (span: RecordedSpan | undefined): string | undefined =>
  recorder.spans.find((other) => other.spanContext().spanId === span?.parent?.spanId)?.name;

describe('a traced record on its way to a member', () => {
  it('is received below the span that sent it: fetched, then delivered', async () => {
    const name = topic(1);
    cluster.produce(name, 0, ['untraced', record('traced', traced(SEND)), record('unsampled', traced(SEND, '00'))]);
    const one = member('receivers', [name]);
    await one.until(() => one.values.length === 3);
    expect(own().map((span) => span.name)).toEqual([`receive ${name}`, `fetch ${name}`, `deliver ${name}`]);
    const [receive, fetch, deliver] = own();
    expect(receive).toMatchObject({
      kind: SpanKind.CONSUMER,
      parent: { traceId: TRACE_ID, spanId: SEND, traceFlags: TraceFlags.SAMPLED },
      attributes: {
        'messaging.system': 'partita',
        'messaging.operation.type': 'receive',
        'messaging.destination.name': name,
        'messaging.destination.partition.id': '0',
        'messaging.consumer.group.name': 'receivers',
        'messaging.partita.offset': '1',
      },
    });
    expect([parentOf(fetch), parentOf(deliver)]).toEqual([`receive ${name}`, `receive ${name}`]);
    const times = [receive?.startTime, fetch?.startTime, fetch?.endTime, deliver?.startTime, deliver?.endTime];
    expect(times).toEqual([...times].sort((a, b) => Number(a) - Number(b)));
    expect([fetch?.startTime, deliver?.startTime, deliver?.endTime]).toEqual([
      receive?.startTime,
      fetch?.endTime,
      receive?.endTime,
    ]);
    // The member goes on below it.
    const seen = one.records.map(({ consumed }) => consumed.record?.traceparent);
    expect(seen).toEqual(['', traceparentOf(receive), traced(SEND, '00')]);
  });

  it('shows the wait for credit as its delivery', async () => {
    const name = topic(1);
    cluster.produce(name, 0, ['first', record('second', traced(SEND))]);
    const one = member('waiting', [name], { credit: { records: 1n, bytes: 1_000_000n } });
    await one.until(() => one.values.length === 1);
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(own()).toEqual([]);
    one.grant(1);
    await one.until(() => one.values.length === 2);
    const [deliver] = recorder.named(`deliver ${name}`);
    expect(Number(deliver?.endTime) - Number(deliver?.startTime)).toBeGreaterThan(140);
  });

  it('is told beside a batch that is passed on as it is stored, and the fetch of several is one', async () => {
    const name = topic(1);
    const other = '1af7651916cd43dd8448eb211c80319c';
    cluster.produce(name, 0, [record('a', traced(SEND)), 'b', record('c', traced('c7ad6b7169203331', '01', other))]);
    const one = member('batches', [name], { deliveryForm: DeliveryForm.DELIVERY_FORM_BATCHES });
    await one.until(() => one.all('batches').length === 1);
    const [first, second] = recorder.named(`receive ${name}`);
    expect(one.all('batches')[0]?.batches.traces).toEqual([
      { offset: 0n, traceparent: traceparentOf(first) },
      { offset: 2n, traceparent: traced(second?.spanContext().spanId ?? '', '01', other) },
    ]);
    const [firstFetch, secondFetch] = recorder.named(`fetch ${name}`);
    expect(firstFetch?.links).toEqual([]);
    expect(secondFetch?.links).toEqual([firstFetch?.spanContext()]);
  });

  it('leaves no span open when its partition is taken away, or its stream breaks, before it was sent', async () => {
    const name = topic(2);
    const values = Array.from({ length: 20 }, (_, index) => record(String(index), traced(SEND)));
    for (const partition of [0, 1]) cluster.produce(name, partition, values);
    const one = member('leavers', [name], { credit: { records: 1n, bytes: 1_000_000n } });
    await one.until(() => one.values.length === 1);
    const two = member('leavers', [name], { credit: { records: 1n, bytes: 1_000_000n } });
    await two.until(() => two.values.length === 1);
    expect(one.partitions).toHaveLength(1);
    one.crash();
    two.crash();
    await Promise.all([one.closed, two.closed]);
    expect(recorder.named(`receive ${name}`)).toHaveLength(2);
  });
});

describe('a commit of traced records', () => {
  const PROCESS = traced('a7ad6b7169203331');
  const commit = (assignmentEpoch: number, name: string, nextOffset: bigint) => ({
    topic: name,
    partition: 0,
    nextOffset,
    recordEpoch: 0,
    metadata: '',
    assignmentEpoch,
  });

  it('is a span below that of the member, and its append below that', async () => {
    const name = topic(1);
    cluster.produce(name, 0, ['a']);
    const one = member('committers', [name]);
    await one.until(() => one.values.length === 1);
    const { assignmentEpoch = 0 } = one.holding(name, 0) ?? {};
    one.send({ $case: 'ack', ack: { ackId: 1n, offsets: [commit(assignmentEpoch, name, 1n)] } }, PROCESS);
    await one.until(() => one.all('ackResult').length === 1);
    const [span, append] = own();
    expect(own().map((each) => each.name)).toEqual(['commit offsets committers', 'append __groups to broker 1']);
    expect(span).toMatchObject({
      kind: SpanKind.SERVER,
      status: undefined,
      parent: { spanId: 'a7ad6b7169203331' },
      attributes: { 'messaging.operation.type': 'settle', 'messaging.consumer.group.name': 'committers' },
    });
    expect(parentOf(append)).toBe('commit offsets committers');
    expect(append?.attributes).toMatchObject({ 'partita.attempt': 1, 'partita.broker.id': 1 });
    // The leader's own spans continue from there.
    expect(cluster.lastAppendTraceparent('__groups')).toBe(traceparentOf(append));
  });

  it('that is refused is an error on the span', async () => {
    const name = topic(1);
    cluster.produce(name, 0, ['a']);
    const one = member('refused', [name]);
    await one.until(() => one.values.length === 1);
    one.send({ $case: 'ack', ack: { ackId: 1n, offsets: [commit(77, name, 1n)] } }, PROCESS);
    await one.until(() => one.all('ackResult').length === 1);
    const [span] = recorder.named('commit offsets refused');
    expect(span?.attributes['error.type']).toBe('STALE_GENERATION');
  });

  it('comes with a leave as well', async () => {
    const name = topic(1);
    cluster.produce(name, 0, ['a']);
    const one = member('gone', [name]);
    await one.until(() => one.values.length === 1);
    const { assignmentEpoch = 0 } = one.holding(name, 0) ?? {};
    one.send({ $case: 'leave', leave: { offsets: [commit(assignmentEpoch, name, 1n)] } }, PROCESS);
    await one.closed;
    await vi.waitFor(() => expect(recorder.named('commit offsets gone')).toHaveLength(1));
  });

  it('makes no span when it is not traced', async () => {
    const name = topic(1);
    cluster.produce(name, 0, ['a']);
    const one = member('quiet', [name]);
    await one.until(() => one.values.length === 1);
    const { assignmentEpoch = 0 } = one.holding(name, 0) ?? {};
    one.send({ $case: 'ack', ack: { ackId: 1n, offsets: [commit(assignmentEpoch, name, 1n)] } }, 'garbage');
    await one.until(() => one.all('ackResult').length === 1);
    expect(own()).toEqual([]);
  });
});
