/** What a coordinator tells of its partitions, in its log and in the traces of its elections. */
import { STATE_LINES_PER_SECOND_COUNT_MAX } from '@partita/domain';
import { SpanRecorder } from '@partita/testkit';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { eventually, SpecCluster } from './testing/spec-cluster.ts';

const recorder = new SpanRecorder();
let cluster: SpecCluster;
beforeAll(() => recorder.register());
afterAll(() => recorder.unregister());
beforeEach(() => {
  recorder.clear();
  cluster = new SpecCluster({ tracing: 'follow' });
});
afterEach(async () => {
  await cluster.stop();
  await eventually(() => recorder.open.length === 0);
});

async function started(brokerIds: readonly number[]) {
  const { store } = await cluster.startCoordinator('--expected-brokers', String(brokerIds.length));
  for (const id of brokerIds) await cluster.startBroker(id);
  const client = cluster.client();
  await eventually(async () => (await client.describe()).brokers.length === brokerIds.length);
  // Until then nothing can be created.
  await eventually(async () => (await store.readAll()) !== undefined);
  return client;
}

/** Two heartbeats after the followers have found their leader, the coordinator knows. */
async function followersFollow(topicId: string): Promise<void> {
  const ends = () => new Set(cluster.brokers.map(({ disk }) => disk.replicas.get(`${topicId}/0`)?.logEnd));
  await eventually(() => ends().size === 1);
  await new Promise((resolve) => setTimeout(resolve, 500));
}

const lines = (message: string) => cluster.logged.filter(({ msg }) => msg === message);
const of = (topic: string, message: string) => lines(message).filter((line) => line['topic'] === topic);

describe('a change of a partition', () => {
  it('is one line: its leader, that it has none, its in-sync set', async () => {
    const client = await started([1, 2, 3]);
    const topic = await client.create({ name: 'orders', partitionCount: 1 });
    const first = topic.partitions[0]!.leaderId;
    await eventually(() => of('orders', 'partition has a leader').length === 1);
    expect(of('orders', 'partition has a leader')[0]).toMatchObject({
      level: 'info',
      topic: 'orders',
      partition: 0,
      epoch: 1,
      leader: first,
    });
    await followersFollow(topic.topicId);
    cluster.broker(first)!.stop();
    await eventually(() => of('orders', 'partition has a leader').length === 2);
    const second = of('orders', 'partition has a leader')[1]!;
    expect(second['leader']).not.toBe(first);
    expect(second['epoch']).toBeGreaterThan(1);
    expect(of('orders', 'partition is offline').length).toBeLessThanOrEqual(1);
    for (const broker of cluster.brokers) if (!broker.stopped) broker.stop();
    await eventually(() => {
      const last = of('orders', 'partition is offline').at(-1);
      return last?.['epoch'] === second['epoch'];
    });
    expect(of('orders', 'partition is offline').at(-1)).toMatchObject({ level: 'warn', leader: second['leader'] });
  });

  it('of very many at once is some lines, and one that counts the others', async () => {
    const client = await started([1]);
    await client.create({ name: 'wide', partitionCount: 1000 });
    await eventually(() => lines('more changes of state than are written one by one').length > 0);
    const written = of('wide', 'partition has a leader').length;
    const counted = lines('more changes of state than are written one by one');
    // At most two seconds are touched.
    expect(written).toBeLessThanOrEqual(3 * STATE_LINES_PER_SECOND_COUNT_MAX);
    await eventually(
      () =>
        written + counted.reduce((sum, { count }) => sum + Number(count), 0) >= 1000 - STATE_LINES_PER_SECOND_COUNT_MAX,
    );
    expect(counted[0]).toMatchObject({ level: 'info', line: 'partition has a leader' });
  });
});

describe('an election', () => {
  it('is a trace: promises, the order to lead, and the line of the leader in it', async () => {
    const client = await started([1, 2, 3]);
    await client.create({ name: 'orders', partitionCount: 2 });
    await eventually(() => of('orders', 'partition has a leader').length === 2);
    const found = () =>
      recorder.named('elect').filter(({ attributes }) => String(attributes['partita.topics']).includes('orders'));
    const electedCount = () =>
      found()
        .map(({ attributes }) => Number(attributes['partita.elected_count'] ?? 0))
        .reduce((a, b) => a + b, 0);
    // A line may come before the election that it belongs to is over for all brokers.
    await eventually(() => electedCount() === 2);
    const elects = found();
    const elect = elects.find(({ attributes }) => Number(attributes['partita.elected_count'] ?? 0) > 0);
    expect(elect).toMatchObject({
      parent: undefined,
      attributes: { 'partita.operation': 'elect', 'partita.reason': 'leader_missing', 'partita.topics': 'orders' },
    });
    const traceId = elect?.spanContext().traceId;
    const inTrace = recorder.spans.filter((span) => span.spanContext().traceId === traceId);
    const below = (name: string) => inTrace.filter((span) => span.name === name);
    expect(
      below('promise')
        .map(({ attributes }) => attributes['partita.broker.id'])
        .sort(),
    ).toEqual([1, 2, 3]);
    expect(below('lead').length).toBeGreaterThan(0);
    for (const part of [...below('promise'), ...below('lead')])
      expect(part.parent?.spanId).toBe(elect?.spanContext().spanId);
    // The calls carry the trace to the brokers.
    const calls = below('partita.peer.v1.ElectionService/PromiseBatch');
    expect(calls.length).toBe(3);
    const traceIds = elects.map((each) => each.spanContext().traceId);
    for (const line of of('orders', 'partition has a leader')) expect(traceIds).toContain(line['trace_id']);
  });

  it('that an operator asks for says so', async () => {
    const client = await started([1, 2]);
    const topic = await client.create({ name: 'orders', partitionCount: 1 });
    await followersFollow(topic.topicId);
    const other = topic.partitions[0]!.leaderId === 1 ? 2 : 1;
    await client.force('orders', other);
    const reasons = recorder.named('elect').map(({ attributes }) => attributes['partita.reason']);
    expect(reasons).toContain('operator');
  });
});

describe('the lease', () => {
  it('is a line when it is taken and when it is given back', async () => {
    const running = await cluster.startCoordinator();
    await cluster.stopCoordinator(running);
    const [taken] = lines('lease taken');
    expect(taken).toMatchObject({ level: 'info', token: expect.any(Number) as number });
    expect(lines('lease given back')).toMatchObject([{ token: taken?.['token'] }]);
  });
});
