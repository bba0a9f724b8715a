import { metricValue } from '@partita/testkit';
import { describe, expect, it, vi } from 'vitest';
import { ServiceWorld } from './testing/service-world.ts';

const world = new ServiceWorld();
const read = (name: string, labels?: Readonly<Record<string, string>>): number | undefined => {
  const metrics = world.instances[0]?.metrics;
  return metrics === undefined ? undefined : metricValue(metrics, `partita.group.${name}`, labels);
};
const until = (condition: () => boolean) => vi.waitUntil(condition, { timeout: 5000, interval: 10 });

describe('the metrics of groups', () => {
  it('count what a member is sent, as records and as batches, and what it commits', async () => {
    const name = world.topic(2);
    world.cluster.produce(name, 0, ['a', 'b']);
    world.cluster.produce(name, 1, ['x']);
    const one = world.member('counted', [name]);
    await one.until(() => one.values.length === 3);
    const labels = { group: 'counted', topic: name };
    expect(read('delivered.records', labels)).toBe(3);
    const bytes = read('delivered.bytes', labels) ?? 0;
    expect(bytes).toBeGreaterThan(3);
    expect(read('members', { group: 'counted' })).toBe(1);
    expect(read('streams')).toBe(1);
    expect(read('queue.bytes')).toBe(0);

    const before = read('commit.duration') ?? 0;
    one.ack(1n, [{ topic: name, partition: 0, nextOffset: 2n }]);
    await one.until(() => one.all('ackResult').length === 1);
    expect(read('commits', { group: 'counted' })).toBe(1);
    expect(read('commit.duration')).toBe(before + 1);
    await one.leave();
    expect(read('members', { group: 'counted' })).toBe(0);
    await until(() => read('streams') === 0);

    const two = world.member('counted', [name], { deliveryForm: 2 });
    await two.until(() => two.all('batches').length === 1);
    expect(read('delivered.records', labels)).toBe(4);
    expect(read('delivered.bytes', labels)).toBe(
      bytes + (two.all('batches')[0]?.batches.recordBatches.byteLength ?? 0),
    );
  });

  it('count new assignments, and the groups and shards that the instance owns', async () => {
    const name = world.topic(2);
    const groups = read('groups') ?? 0;
    const one = world.member('moving', [name]);
    await one.until(() => one.partitions.length === 2);
    expect(read('groups')).toBe(groups + 1);
    expect(read('shards')).toBe(1);
    expect(read('rebalances', { group: 'moving' })).toBe(1);
    const two = world.member('moving', [name]);
    await two.until(() => two.partitions.length === 1);
    expect(read('rebalances', { group: 'moving' })).toBe(2);
    expect(read('members', { group: 'moving' })).toBe(2);
  });

  it('count errors by reason: of streams, of commits, of calls', async () => {
    const name = world.topic(1);
    const none = world.member('generous', [name], { credit: { records: -1n, bytes: 0n } });
    expect((await none.closed)?.reason).toBe('INVALID_REQUEST');
    expect(read('errors', { reason: 'INVALID_REQUEST' })).toBe(1);

    const one = world.member('refused', [name]);
    await one.until(() => one.partitions.length === 1);
    one.ack(1n, [{ topic: name, partition: 0, nextOffset: 0n, assignmentEpoch: 99 }]);
    await one.until(() => one.all('ackResult').length === 1);
    const { failures } = one.all('ackResult')[0]!.ackResult;
    expect(failures).toHaveLength(1);
    expect(read('errors', { reason: 'STALE_GENERATION' })).toBe(1);
    expect(read('commits', { group: 'refused' })).toBeUndefined();

    await expect(world.describeGroup('nobody')).rejects.toMatchObject({ reason: 'GROUP_NOT_FOUND' });
    expect(read('errors', { reason: 'GROUP_NOT_FOUND' })).toBe(1);
  });

  it('show what is read for a member that takes nothing', async () => {
    const name = world.topic(1);
    world.cluster.produce(name, 0, ['a', 'b', 'c']);
    const one = world.member('slow', [name], { credit: { records: 0n, bytes: 0n } });
    await one.until(() => one.partitions.length === 1);
    await until(() => (read('queue.bytes') ?? 0) > 0);
    one.grant(10);
    await one.until(() => one.values.length === 3);
    expect(read('queue.bytes')).toBe(0);
  });
});
