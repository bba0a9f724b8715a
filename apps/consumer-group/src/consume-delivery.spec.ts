import { describe, expect, it } from 'vitest';
import { ServiceWorld } from './testing/service-world.ts';

const world = new ServiceWorld();
const { topic, member, committed, cluster } = world;

describe('a group with one member', () => {
  it('gets every partition and every record in order, from the earliest, and commits its acks', async () => {
    const name = topic(2);
    cluster.produce(name, 0, ['a', 'b']);
    cluster.produce(name, 1, ['x']);
    const one = member('first', [name]);
    await one.until(() => one.values.length === 3);
    expect(one.assignment?.partitions.map(({ startOffset }) => startOffset)).toEqual([0n, 0n]);
    expect(one.records.filter((r) => r.partition === 0).map((r) => r.value)).toEqual(['a', 'b']);
    one.ack(7n, [{ topic: name, partition: 0, nextOffset: 2n }]);
    await one.until(() => one.all('ackResult').length === 1);
    expect(one.all('ackResult')[0]?.ackResult).toEqual({ ackId: 7n, failures: [] });
    expect(await committed('first')).toEqual({ 0: 2n, 1: 0n });
    cluster.produce(name, 0, ['c']);
    await one.until(() => one.values.includes('c'));
  });

  it('is told once that it caught up, and again after it fell behind', async () => {
    const name = topic(1);
    cluster.produce(name, 0, ['a']);
    const one = member('caught', [name], { credit: { records: 1n, bytes: 1000n } });
    await one.until(() => one.all('caughtUp').length === 1);
    cluster.produce(name, 0, ['b', 'c']);
    await one.until(() => one.all('fellBehind').length === 1);
    expect(one.values).toEqual(['a']);
    one.grant(5);
    await one.until(() => one.all('caughtUp').length === 2);
    expect(one.values).toEqual(['a', 'b', 'c']);
    expect(one.all('fellBehind')).toHaveLength(1);
    await one.until(() => one.all('heartbeat').some((h) => h.heartbeat.positions[0]?.nextOffset === 3n));
  });

  it('never gets more records or bytes than it granted', async () => {
    const name = topic(1);
    cluster.produce(name, 0, ['aa', 'bb', 'cc', 'dd']);
    const one = member('credits', [name], { credit: { records: 3n, bytes: 1_000_000n } });
    await one.until(() => one.values.length === 3);
    one.send({ $case: 'credit', credit: { records: 10n, bytes: 0n } });
    await one.until(() => one.values.length === 4);
    const other = topic(1);
    cluster.produce(other, 0, ['x'.repeat(100), 'y'.repeat(100)]);
    const two = member('credit bytes'.replace(' ', '-'), [other], { credit: { records: 100n, bytes: 150n } });
    await two.until(() => two.all('heartbeat').length > 0);
    expect(two.values).toHaveLength(1);
    two.grant(0, 150);
    await two.until(() => two.values.length === 2);
  });

  it('pauses, resumes and seeks', async () => {
    const name = topic(1);
    cluster.produce(name, 0, ['a', 'b', 'c']);
    const one = member('seeks', [name]);
    await one.until(() => one.values.length === 3);
    const [held] = one.assignment?.partitions ?? [];
    one.send({ $case: 'pause', pause: { partitions: [held!] } });
    one.send({
      $case: 'seek',
      seek: { entries: [{ partition: held, position: { position: { $case: 'offset', offset: 1n } }, seekId: 9n }] },
    });
    await one.until(() => one.all('heartbeat').some((h) => h.heartbeat.positions[0]?.nextOffset === 1n));
    expect(one.values).toHaveLength(3);
    one.send({ $case: 'resume', resume: { partitions: [held!] } });
    await one.until(() => one.values.length === 5);
    expect(one.values.slice(3)).toEqual(['b', 'c']);
    expect(one.all('records').at(-1)?.records.seekId).toBe(9n);
  });

  it('gets batches as stored when it asks for them', async () => {
    const name = topic(1);
    cluster.produce(name, 0, ['a', 'b']);
    const one = member('batches', [name], { deliveryForm: 2 });
    await one.until(() => one.all('batches').length === 1);
    expect(one.all('batches')[0]?.batches).toMatchObject({ fromOffset: 0n, nextOffset: 2n, partition: 0 });
    expect(one.all('batches')[0]?.batches.topicId).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('gets a batch that is larger than its whole credit, and pays for it with the next ones', async () => {
    const name = topic(1, { isAppendTime: true });
    cluster.produce(name, 0, ['a'.repeat(100), 'b'.repeat(100), 'c'.repeat(100)]);
    cluster.produce(name, 0, ['d']);
    const one = member('large-batches', [name], { deliveryForm: 2, credit: { records: 1n, bytes: 50n } });
    await one.until(() => one.all('batches').length === 1);
    expect(one.all('batches')[0]?.batches).toMatchObject({ nextOffset: 3n, appendTime: true });
    one.grant(2, 10_000);
    await one.until(() => one.all('heartbeat').length > 0);
    expect(one.all('batches')).toHaveLength(1);
    one.grant(1, 10_000);
    await one.until(() => one.all('batches').length === 2);
  });

  it('reads from the leaders itself when it says so: assignment and commits, and no records', async () => {
    const name = topic(2);
    cluster.produce(name, 0, ['a', 'b']);
    cluster.produce(name, 1, ['x']);
    const one = member('direct', [name], {
      deliveryForm: 3,
      startPosition: { position: { $case: 'latest', latest: true } },
    });
    await one.until(() => one.assignment?.partitions.length === 2);
    expect(one.assignment?.partitions.map(({ startOffset }) => startOffset)).toEqual([2n, 1n]);
    expect(await committed('direct')).toEqual({ 0: 2n, 1: 1n });
    cluster.produce(name, 0, ['c']);
    one.ack(1n, [{ topic: name, partition: 0, nextOffset: 3n }]);
    one.ack(2n, [{ topic: name, partition: 1, nextOffset: 9n }]);
    await one.until(() => one.all('ackResult').length === 2 && one.all('heartbeat').length > 0);
    const results = one.all('ackResult').map(({ ackResult }) => [ackResult.ackId, ackResult.failures.length]);
    expect(results.sort()).toEqual([
      [1n, 0],
      [2n, 1],
    ]);
    expect(await committed('direct')).toEqual({ 0: 3n, 1: 1n });
    expect([one.values, one.all('batches')]).toEqual([[], []]);
  });

  it('sees the append time where the topic says so, and headers, keys and absent values', async () => {
    const name = topic(1, { isAppendTime: true });
    cluster.produce(name, 0, [
      { key: Buffer.from('k'), headers: [{ name: 'h', value: Buffer.from('v') }], timestampMs: 5n },
    ]);
    const one = member('times', [name]);
    await one.until(() => one.records.length === 1);
    const { record, appendTimeMs } = one.records[0]!.consumed;
    expect(record?.timestampMs).toBe(appendTimeMs);
    expect(record?.value).toBeUndefined();
    expect(record?.headers).toEqual([{ name: 'h', value: Buffer.from('v') }]);
  });

  it('begins at latest when it says so, and that start is committed at once', async () => {
    const name = topic(1);
    cluster.produce(name, 0, ['old']);
    const one = member('latest', [name], { startPosition: { position: { $case: 'latest', latest: true } } });
    await one.until(() => one.assignment?.partitions.length === 1);
    expect(await committed('latest')).toEqual({ 0: 1n });
    one.crash();
    cluster.produce(name, 0, ['new']);
    const two = member('latest', [name], { memberId: one.memberId });
    await two.until(() => two.values.length === 1);
    expect(two.values).toEqual(['new']);
    expect(two.memberId).toBe(one.memberId);
  });
});

describe('a slow member', () => {
  const BATCH_BYTES = 512 * 1024;
  const batches = (name: string, partition: number, count: number): void => {
    for (let index = 0; index < count; index += 1) cluster.produce(name, partition, ['x'.repeat(BATCH_BYTES)]);
  };

  it('has a window of bytes sent ahead, and nothing is read twice', async () => {
    const name = topic(2);
    batches(name, 0, 24);
    batches(name, 1, 24);
    const before = { starts: cluster.fetchStartCount, bytes: cluster.fetchedBytes };
    const one = member('slow', [name], { credit: { records: 1n, bytes: 1_000_000n } });
    await one.until(() => one.values.length === 1);
    await one.until(() => one.all('heartbeat').length > 0);
    // A broker sends a slice as long as any of the window is left: 20 batches at a time here.
    expect(cluster.fetchedBytes - before.bytes).toBeLessThan(21 * BATCH_BYTES);
    for (let count = 2; count <= 48; count += 1) {
      one.grant(1);
      await one.until(() => one.values.length === count);
    }
    expect(cluster.fetchStartCount - before.starts).toBe(2);
    expect(cluster.fetchedBytes - before.bytes).toBeLessThan(49 * BATCH_BYTES);
    expect(new Set(one.records.map(({ partition, offset }) => `${partition}/${offset}`)).size).toBe(48);
  });

  it('that pauses a partition gets the others all the same, and the rest of that one when it goes on', async () => {
    const name = topic(2);
    const one = member('paused', [name]);
    await one.until(() => one.partitions.length === 2);
    const partitions = one.assignment!.partitions.filter(({ partition }) => partition === 0);
    one.send({ $case: 'pause', pause: { partitions } });
    await one.until(() => one.all('heartbeat').length > 0);
    batches(name, 0, 40);
    batches(name, 1, 3);
    await one.until(() => one.values.length === 3);
    expect(one.records.every(({ partition }) => partition === 1)).toBe(true);
    one.grant(100, 60_000_000);
    one.send({ $case: 'resume', resume: { partitions } });
    await one.until(() => one.values.length === 43, 10_000);
    const offsets = one.records.filter(({ partition }) => partition === 0).map(({ offset }) => Number(offset));
    expect(offsets).toEqual(Array.from({ length: 40 }, (_, index) => index));
  });
});
