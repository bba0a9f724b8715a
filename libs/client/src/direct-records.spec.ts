import { PartitaError } from '@partita/domain';
import { ConsumeEventKind, DeliveryForm, ServiceKind, TimestampType } from '@partita/protocol';
import type { ConsumeEvent } from '@partita/protocol';
import { afterEach, describe, expect, test } from 'vitest';
import type { ConsumerOptions } from './index.ts';
import { leaderUpdate } from './testing/leaders.ts';
import { closeAll, listen, until } from './testing/loopback.ts';
import { SpecBroker } from './testing/spec-broker.ts';
import { offsets, startConsumer, text } from './testing/spec-group.ts';
import { stampedBatch, stampedEpochStart } from './testing/stamped-batch.ts';

afterEach(closeAll);

const { CONSUME_EVENT_KIND_OFFSET_LOST, CONSUME_EVENT_KIND_TRUNCATED } = ConsumeEventKind;

async function start(options: Partial<ConsumerOptions> = {}, timestampType?: TimestampType) {
  const broker = new SpecBroker();
  const { address } = await listen([broker.part]);
  const events: ConsumeEvent[] = [];
  const started = await startConsumer({ delivery: 'direct', onEvent: (event) => events.push(event), ...options });
  const { routes, brokers } = leaderUpdate(1, address, 1);
  started.directory.routes = routes.map((route) => ({ ...route, timestampType: timestampType ?? route.timestampType }));
  started.directory.brokers = brokers;
  started.directory.add(ServiceKind.SERVICE_KIND_COORDINATOR, started.address, true);
  const first = started.records.next();
  return { ...started, broker, events, first };
}

/** Batches of one record each. */
function batches(from: number, to: number): Buffer {
  return Buffer.concat(
    Array.from({ length: to - from }, (_, index) =>
      stampedBatch(['x'.repeat(100)], { baseOffset: BigInt(from + index) }),
    ),
  );
}

describe('a direct consumer', () => {
  test('gets its partitions from the group and its records from the leader', async () => {
    const { group, broker, first, records } = await start();
    group.committed.set(0, 5n);
    await until(() => broker.starts.length === 1);
    expect(group.all('initial')[0]?.initial.deliveryForm).toBe(DeliveryForm.DELIVERY_FORM_DIRECT);
    expect(broker.starts[0]).toMatchObject({ partition: 0, offset: 5n, lastRecordEpoch: 0 });
    const recordBatches = Buffer.concat([
      stampedBatch(['a', 'b'], { baseOffset: 4n }),
      stampedEpochStart({ baseOffset: 6n }),
      stampedBatch(['c'], { baseOffset: 7n }),
    ]);
    broker.data({ recordBatches, nextOffset: 8n, highWatermark: 9n });
    expect((await first).value).toMatchObject({ offset: 5n, leaderEpoch: 3, timestampMs: 5 });
    expect(await offsets(records, 1)).toEqual(['0:7']);
    void records.next();
    await until(() => group.acked.includes('0:8'));
  });

  test('shows the append time where the topic says so', async () => {
    const { broker, first } = await start({}, TimestampType.TIMESTAMP_TYPE_APPEND);
    await until(() => broker.starts.length === 1);
    broker.data({ recordBatches: batches(0, 1), nextOffset: 1n });
    const { value } = await first;
    expect(value?.timestampMs).toBe(value?.appendTimeMs);
  });

  test('stops reading what it is to give up, at once, and drops what it has of it', async () => {
    const { group, broker, first, records } = await start();
    await until(() => broker.starts.length === 1);
    broker.data({ recordBatches: batches(0, 3), nextOffset: 3n });
    await first;
    group.assign([[0, 1]], [[0, 1]], 2);
    await until(() => broker.stops.length === 1);
    const second = records.next();
    await until(() => group.all('revoked').length === 1);
    expect(group.all('revoked')[0]?.revoked.offsets.map(text)).toEqual(['0:1']);
    group.committed.set(0, 2n);
    group.assign([[0, 7]], [], 3);
    await until(() => broker.starts.length === 2);
    expect(broker.starts[1]?.offset).toBe(2n);
    broker.data({ recordBatches: batches(0, 3), nextOffset: 3n });
    expect((await second).value?.offset).toBe(2n);
  });

  test('goes on after a lost stream where its handler is, and nothing comes twice', async () => {
    const { group, broker, first, records } = await start();
    await until(() => broker.starts.length === 1);
    broker.data({ recordBatches: batches(0, 4), nextOffset: 4n });
    await first;
    await records.next();
    group.stream?.end(new PartitaError('SHUTTING_DOWN', 'bye'));
    await until(() => broker.starts.length === 2);
    expect(broker.starts[1]).toMatchObject({ offset: 2n, lastRecordEpoch: 3 });
    broker.data({ recordBatches: batches(2, 4), nextOffset: 4n });
    expect(await offsets(records, 2)).toEqual(['0:2', '0:3']);
  });

  test('keeps no more than its window: credit comes back with what is handed out', async () => {
    const { broker, first, records } = await start({ bufferBytes: 200_000 });
    await until(() => broker.starts.length === 1);
    await until(() => broker.creditBytes > 0);
    expect(broker.creditBytes).toBe(200_000);
    const recordBatches = stampedBatch(
      Array.from({ length: 1000 }, () => 'x'.repeat(100)),
      { baseOffset: 0n },
    );
    broker.data({ recordBatches, nextOffset: 1000n });
    await first;
    await offsets(records, 998);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(broker.creditBytes).toBe(200_000);
    await offsets(records, 1);
    void records.next();
    await until(() => broker.creditBytes === 200_000 + recordBatches.byteLength);
  });

  test('pauses, goes on where it was, and seeks', async () => {
    const { broker, first, records, consumer } = await start();
    await until(() => broker.starts.length === 1);
    broker.data({ recordBatches: batches(0, 3), nextOffset: 3n });
    await first;
    const partition = { topic: 't', partition: 0 };
    consumer.pause([partition]);
    await until(() => broker.stops.length === 1);
    consumer.resume([partition]);
    await until(() => broker.starts.length === 2);
    expect(broker.starts[1]?.offset).toBe(1n);
    broker.log = { offset: 40n, logStartOffset: 0n, highWatermark: 50n };
    consumer.seek(partition, new Date(1000));
    await until(() => broker.starts.length === 3);
    expect(broker.starts[2]?.offset).toBe(40n);
    broker.data({ recordBatches: batches(40, 41), nextOffset: 41n });
    expect(await offsets(records, 1)).toEqual(['0:40']);
    expect(consumer.lag()).toEqual([{ ...partition, position: 41n, highWatermark: 50n, lagRecords: 9n }]);
  });
});

describe('a position that is not in the log any more', () => {
  const gone = new PartitaError('OFFSET_OUT_OF_RANGE', 'gone');

  test('ends a direct consumer with OFFSET_LOST', async () => {
    const { broker, first } = await start();
    broker.log = { offset: 20n, logStartOffset: 10n, highWatermark: 20n };
    await until(() => broker.starts.length === 1);
    broker.data({ error: gone });
    await expect(first).rejects.toMatchObject({ reason: 'OFFSET_LOST', metadata: { committed: '0', start: '10' } });
  });

  test.each([
    ['earliest', 10n],
    ['latest', 20n],
  ] as const)('moves to %s where the policy says so, with an event first', async (offsetLost, newOffset) => {
    const { broker, events, first } = await start({ offsetLost });
    broker.log = { offset: 20n, logStartOffset: 10n, highWatermark: 20n };
    await until(() => broker.starts.length === 1);
    broker.data({ error: gone });
    await until(() => broker.starts.length === 2);
    expect(events).toMatchObject([{ kind: CONSUME_EVENT_KIND_OFFSET_LOST, oldOffset: 0n, newOffset }]);
    expect(broker.starts[1]?.offset).toBe(newOffset);
    broker.data({ recordBatches: batches(Number(newOffset), Number(newOffset) + 1), nextOffset: newOffset + 1n });
    expect((await first).value?.offset).toBe(newOffset);
  });

  test('after an unclean election is told, and read on from where the logs part', async () => {
    const { group, broker, events, first, records } = await start();
    await until(() => broker.starts.length === 1);
    broker.data({ recordBatches: batches(0, 4), nextOffset: 4n });
    await first;
    await offsets(records, 2);
    broker.data({ error: new PartitaError('LOG_TRUNCATED', 'lost', { divergence: '2' }) });
    await until(() => broker.starts.length === 2);
    expect(events).toMatchObject([{ kind: CONSUME_EVENT_KIND_TRUNCATED, oldOffset: 3n, newOffset: 2n }]);
    expect(broker.starts[1]?.offset).toBe(2n);
    group.committed.set(0, 3n);
    group.stream?.end(new PartitaError('SHUTTING_DOWN', 'bye'));
    await until(() => broker.starts.length === 3);
    expect(broker.starts[2]?.offset).toBe(2n);
    broker.data({ recordBatches: batches(2, 3), nextOffset: 3n });
    expect(await offsets(records, 1)).toEqual(['0:2']);
  });

  test('says nothing of epochs behind a hole that compaction left', async () => {
    const { broker, first } = await start();
    await until(() => broker.starts.length === 1);
    broker.data({ recordBatches: batches(0, 1), nextOffset: 5n });
    await first;
    broker.stream?.end(new PartitaError('SHUTTING_DOWN', 'bye'));
    await until(() => broker.starts.length === 2);
    expect(broker.starts[1]).toMatchObject({ offset: 5n, lastRecordEpoch: 0 });
  });
});
