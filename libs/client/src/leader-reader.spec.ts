import { PartitaError } from '@partita/domain';
import { afterEach, describe, expect, test } from 'vitest';
import { LeaderReader } from './leader-reader.ts';
import type { Reading } from './leader-reader.ts';
import type { RouteCache } from './route-cache.ts';
import { leaderUpdate, routesTo, TOPIC_ID } from './testing/leaders.ts';
import { closeAll, closeLater, listen, newPool, until } from './testing/loopback.ts';
import { SpecBroker } from './testing/spec-broker.ts';

afterEach(closeAll);

async function start() {
  const broker = new SpecBroker();
  const { address } = await listen([broker.part]);
  const routes = routesTo(1, address);
  return { broker, routes, address, ...read(routes) };
}

function read(routes: RouteCache) {
  const reader = new LeaderReader(routes, newPool());
  closeLater(() => reader.close());
  const seen: bigint[] = [];
  const marks: boolean[] = [];
  const errors: PartitaError[] = [];
  const reading: Reading = reader.read({
    topicId: TOPIC_ID,
    topic: 't',
    partition: 0,
    offset: 5n,
    onBatches: (data) => seen.push(data.nextOffset),
    onWatermark: (_mark, caughtUp) => marks.push(caughtUp),
    onError: (error) => errors.push(error),
  });
  closeLater(() => reading.close());
  return { reading, seen, marks, errors };
}

describe('a leader reader', () => {
  test('begins at the offset and moves on with the data', async () => {
    const { broker, reading, seen } = await start();
    await until(() => broker.starts.length === 1);
    expect(broker.starts[0]).toMatchObject({ topicId: TOPIC_ID, partition: 0, offset: 5n, leaderEpoch: 1 });
    broker.data({ nextOffset: 9n });
    await until(() => seen.length === 1);
    expect(reading.nextOffset).toBe(9n);
  });

  test('goes on where it was when the stream breaks', async () => {
    const { broker, seen } = await start();
    await until(() => broker.starts.length === 1);
    broker.data({ nextOffset: 9n });
    await until(() => seen.length === 1);
    broker.stream?.end(new PartitaError('SHUTTING_DOWN', 'bye'));
    await until(() => broker.starts.length === 2);
    expect(broker.starts[1]?.offset).toBe(9n);
  });

  test('goes to the new leader as soon as it is known', async () => {
    const { broker, routes } = await start();
    const two = new SpecBroker();
    const { address } = await listen([two.part]);
    await until(() => broker.starts.length === 1);
    routes.table.apply(leaderUpdate(2, address, 1));
    routes.table.apply({
      ...leaderUpdate(1, '127.0.0.1:1', 1),
      routes: [],
      brokers: [{ brokerId: 2, address, rack: '', state: 1, version: '' }],
    });
    const metadata = { topic_id: TOPIC_ID, partition: '0', leader: '2', leader_epoch: '2' };
    broker.data({ error: new PartitaError('NOT_LEADER', 'moved', metadata) });
    await until(() => two.starts.length === 1);
    expect(two.starts[0]).toMatchObject({ offset: 5n, leaderEpoch: 2 });
  });

  test('drops what a reading from before a seek still delivers', async () => {
    const { broker, reading, seen } = await start();
    await until(() => broker.starts.length === 1);
    reading.seek(100n);
    await until(() => broker.starts.length === 2);
    broker.data({ nextOffset: 6n }, broker.starts[0]);
    broker.data({ nextOffset: 101n }, broker.starts[1]);
    await until(() => seen.length === 1);
    expect([seen, broker.starts[1]?.offset]).toEqual([[101n], 100n]);
  });

  test('stops the flow while paused', async () => {
    const { broker, reading } = await start();
    await until(() => broker.starts.length === 1);
    reading.pause();
    await until(() => broker.stops.length === 1);
    reading.resume();
    await until(() => broker.starts.length === 2);
  });

  test('gives the credit back for what it took over', async () => {
    const { broker, seen } = await start();
    await until(() => broker.starts.length === 1);
    const before = broker.creditBytes;
    broker.data({ nextOffset: 6n, bytes: 1024 * 1024 });
    await until(() => seen.length === 1 && broker.creditBytes > before);
    expect(broker.creditBytes - before).toBe(1024 * 1024);
  });

  test('tells when everything committed was delivered', async () => {
    const { broker, marks } = await start();
    await until(() => broker.starts.length === 1);
    const mark = { topicId: TOPIC_ID, partition: 0, highWatermark: 5n, logStartOffset: 0n };
    broker.stream?.send({ message: { $case: 'heartbeat', heartbeat: { watermarks: [mark] } } });
    broker.stream?.send({ message: { $case: 'caughtUp', caughtUp: mark } });
    await until(() => marks.length === 2);
    expect(marks).toEqual([false, true]);
  });

  test('ends with an error that no other leader can mend', async () => {
    const { broker, errors } = await start();
    await until(() => broker.starts.length === 1);
    broker.data({ error: new PartitaError('OFFSET_OUT_OF_RANGE', 'gone') });
    await until(() => errors.length === 1);
    expect(errors[0]?.reason).toBe('OFFSET_OUT_OF_RANGE');
  });
});
