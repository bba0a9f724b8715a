import { SpanKind } from '@opentelemetry/api';
import { ServiceKind } from '@partita/protocol';
import { SpanRecorder } from '@partita/testkit';
import type { RecordedSpan } from '@partita/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { leaderUpdate } from './testing/leaders.ts';
import { closeAll, listen, until } from './testing/loopback.ts';
import { SpecBroker } from './testing/spec-broker.ts';
import { startConsumer } from './testing/spec-group.ts';
import { stampedBatch } from './testing/stamped-batch.ts';

const recorder = new SpanRecorder();
beforeAll(() => recorder.register());
afterAll(() => recorder.unregister());
afterEach(async () => {
  await closeAll();
  expect(recorder.open.filter((name) => !name.includes('/'))).toEqual([]);
  recorder.clear();
});

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const traced = (number: number, flags = '01'): string => `00-${TRACE_ID}-${String(number).padStart(16, '0')}-${flags}`;
const spanIds = (spans: readonly (RecordedSpan | undefined)[]) => spans.map((span) => span?.spanContext().spanId);
const traceparentOf = (span: RecordedSpan | undefined): string =>
  `00-${span?.spanContext().traceId}-${span?.spanContext().spanId}-01`;

describe('a commit', () => {
  test('by itself is a span below the first record in it that is traced, linked to the others, until its answer', async () => {
    const { group, consumer } = await startConsumer();
    const handled: bigint[] = [];
    const running = consumer.run((record) => void handled.push(record.offset));
    await until(() => group.stream !== undefined);
    group.deliver(0, 0, 3, 1, traced(1));
    await until(() => group.acked.length > 0);
    await until(() => recorder.named('commit offsets').every(({ ended }) => ended));
    const processed = recorder.named('process t');
    const [commit] = recorder.named('commit offsets');
    expect(commit).toMatchObject({
      kind: SpanKind.CLIENT,
      attributes: {
        'messaging.system': 'partita',
        'messaging.operation.type': 'settle',
        'messaging.operation.name': 'commit',
        'messaging.consumer.group.name': 'g',
        'partita.partition_count': 1,
      },
    });
    expect([commit?.parent?.spanId, ...(commit?.links.map(({ spanId }) => spanId) ?? [])]).toEqual(spanIds(processed));
    expect(group.traceparentsOf('ack')[0]).toBe(traceparentOf(commit));
    await consumer.close();
    await running;
  });

  test('that the caller asks for inside a handler is below the span of that record', async () => {
    const { group, consumer } = await startConsumer({ autoCommit: false });
    const running = consumer.run(() => consumer.commit());
    await until(() => group.stream !== undefined);
    group.deliver(0, 0, 2, 1, traced(1));
    await until(() => recorder.named('commit offsets').length === 2);
    await until(() => recorder.named('commit offsets').every(({ ended }) => ended));
    const commits = recorder.named('commit offsets');
    expect(commits.map(({ parent }) => parent?.spanId)).toEqual(spanIds(recorder.named('process t')));
    expect(commits.map(({ links }) => links.length)).toEqual([0, 0]);
    await consumer.close();
    await running;
  });

  test('that goes with the leaving of a loop carries its span, and a record given up is none of it', async () => {
    const { group, records, consumer } = await startConsumer();
    const first = records.next();
    await until(() => group.stream !== undefined);
    group.deliver(0, 0, 2, 1, traced(1));
    await first;
    await records.next();
    await consumer.close();
    const [commit] = recorder.named('commit offsets');
    expect(commit?.parent?.spanId).toBe(spanIds(recorder.named('process t'))[0]);
    expect(commit?.links).toEqual([]);
    expect(group.traceparentsOf('leave')).toEqual([traceparentOf(commit)]);
  });

  test('whose answer never comes ends with its stream, as an error, and the next is below the same records', async () => {
    const { group, consumer } = await startConsumer();
    group.answersAcks = false;
    const running = consumer.run(() => undefined);
    await until(() => group.stream !== undefined);
    group.deliver(0, 0, 1, 1, traced(1));
    await until(() => group.acked.length === 1);
    group.answersAcks = true;
    group.stream?.end();
    await until(() => group.acked.length === 2);
    await until(() => recorder.named('commit offsets').every(({ ended }) => ended));
    const [lost, again] = recorder.named('commit offsets');
    expect(lost?.attributes['error.type']).toBe('SERVICE_UNREACHABLE');
    expect(again?.attributes['error.type']).toBeUndefined();
    expect([lost?.parent, again?.parent].map((parent) => parent?.spanId)).toEqual([
      ...spanIds(recorder.named('process t')),
      ...spanIds(recorder.named('process t')),
    ]);
    await consumer.close();
    await running;
  });

  test('of a partition that is given up carries its span', async () => {
    const { group, consumer } = await startConsumer();
    const running = consumer.run(() => undefined);
    await until(() => group.stream !== undefined);
    group.deliver(0, 0, 1, 1, traced(1));
    await until(() => recorder.named('process t')[0]?.ended === true);
    group.assign([[0, 1]], [[0, 1]], 2);
    await until(() => group.all('revoked').length === 1);
    expect(recorder.named('commit offsets').map(traceparentOf)).toEqual(
      [...group.traceparentsOf('ack'), ...group.traceparentsOf('revoked')].filter((each) => each !== ''),
    );
    expect(recorder.named('commit offsets')).not.toEqual([]);
    await consumer.close();
    await running;
  });
});

describe('a batch of records', () => {
  test('is processed in one span: below the first that is traced, linked to at most 32 others', async () => {
    const { group, consumer } = await startConsumer();
    const running = consumer.runBatches(() => undefined, { maxRecords: 100 });
    await until(() => group.stream !== undefined);
    const recordOf = (traceparent: string) => ({ value: Buffer.from('v'), timestampMs: 1n, traceparent });
    const sampled = Array.from({ length: 40 }, (_, index) => recordOf(traced(index + 1)));
    const batch = stampedBatch(['untraced', recordOf(traced(99, '00')), ...sampled], { baseOffset: 0n });
    group.deliverBatches([batch], { traces: [{ offset: 2n, traceparent: traced(1000) }] });
    await until(() => recorder.named('process t').length === 1);
    const [span] = recorder.named('process t');
    expect(span?.attributes).toMatchObject({
      'messaging.operation.type': 'process',
      'messaging.batch.message_count': 42,
      'messaging.consumer.group.name': 'g',
    });
    // What the service tells of a record goes before what stands in it.
    expect(span?.parent?.spanId).toBe('1000'.padStart(16, '0'));
    expect(span?.links.map(({ spanId }) => Number(spanId))).toEqual(
      Array.from({ length: 32 }, (_, index) => index + 2),
    );
    await consumer.close();
    await running;
  });

  test('whose handler throws has ended its span as an error', async () => {
    const { group, consumer } = await startConsumer();
    const running = consumer.runBatches(() => {
      throw new TypeError('no');
    });
    await until(() => group.stream !== undefined);
    group.deliver(0, 0, 2, 1, traced(1));
    await expect(running).rejects.toThrow('no');
    expect(recorder.named('process t')[0]).toMatchObject({ ended: true, attributes: { 'error.type': 'TypeError' } });
  });
});

describe('a record that a consumer reads from its leader', () => {
  test('is received by the consumer itself, from its arrival on, and processed below that', async () => {
    const broker = new SpecBroker();
    const { address } = await listen([broker.part]);
    const started = await startConsumer({ delivery: 'direct' });
    const { routes, brokers } = leaderUpdate(1, address, 1);
    Object.assign(started.directory, { routes, brokers });
    started.directory.add(ServiceKind.SERVICE_KIND_COORDINATOR, started.address, true);
    const running = started.consumer.run(() => undefined);
    await until(() => broker.starts.length === 1);
    const recordBatches = stampedBatch(
      ['untraced', { value: Buffer.from('v'), timestampMs: 1n, traceparent: traced(1) }],
      { baseOffset: 0n },
    );
    broker.data({ recordBatches, nextOffset: 2n, highWatermark: 2n });
    await until(() => recorder.named('process t').length === 2);
    const [receive, ...others] = recorder.named('receive t');
    expect(others).toEqual([]);
    expect(receive).toMatchObject({
      kind: SpanKind.CONSUMER,
      ended: true,
      parent: { traceId: TRACE_ID, spanId: '1'.padStart(16, '0') },
      attributes: { 'messaging.operation.type': 'receive', 'messaging.partita.offset': '1' },
    });
    const times = [receive?.startTime, receive?.endTime].map(Number);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect(recorder.named('process t').map(({ parent }) => parent?.spanId)).toEqual([undefined, ...spanIds([receive])]);
    await started.consumer.close();
    await running;
  });
});
