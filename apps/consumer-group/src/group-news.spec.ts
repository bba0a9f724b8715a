/** What an instance tells of its groups and shards, in its log and in traces. */
import { SpanRecorder } from '@partita/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { ServiceWorld } from './testing/service-world.ts';

const recorder = new SpanRecorder();
beforeAll(() => recorder.register());
const world = new ServiceWorld({ tracing: 'follow' });
const { topic, member } = world;
afterAll(() => {
  const open = recorder.open.filter((name) => !name.includes('/'));
  recorder.unregister();
  expect(open).toEqual([]);
});
afterEach(() => vi.waitFor(() => expect(recorder.open.filter((name) => !name.includes('/'))).toEqual([])));

const lines = (group: string) => world.logged.filter((line) => line['group'] === group).map(({ msg }) => msg);
const line = (group: string, msg: string) =>
  world.logged.filter((entry) => entry['group'] === group && entry['msg'] === msg);

describe('a group', () => {
  it('is told in one line for each change, and each rebalance is a trace from its cause to the last holder', async () => {
    const name = topic(4);
    const one = member('told', [name]);
    await one.until(() => one.partitions.length === 4);
    expect(lines('told')).toEqual(['group is stable']);
    const two = member('told', [name]);
    await two.until(() => two.partitions.length === 2);
    expect(lines('told')).toEqual(['group is stable', 'group rebalances', 'group is stable']);
    expect(line('told', 'group rebalances')[0]).toMatchObject({ level: 'info', members: 2, revoking: 2 });
    const stable = line('told', 'group is stable')[1];
    expect(stable).toMatchObject({ members: 2, partitions: 4, duration_ms: expect.any(Number) as number });

    const [first, second] = recorder.named('rebalance told');
    expect(first).toMatchObject({ parent: undefined, attributes: { 'partita.reason': 'member_joined' } });
    expect(second).toMatchObject({
      parent: undefined,
      ended: true,
      status: undefined,
      attributes: {
        'partita.operation': 'rebalance',
        'partita.reason': 'member_joined',
        'partita.member_count': 2,
        'partita.partition_count': 4,
        'messaging.consumer.group.name': 'told',
      },
    });
    const below = recorder.spans.filter(({ parent }) => parent?.spanId === second?.spanContext().spanId);
    expect(below.map((span) => span.name)).toEqual(['revoke', 'assign']);
    expect(stable?.['trace_id']).toBe(second?.spanContext().traceId);
    // What was there before is not told again.
    expect(recorder.spans.filter(({ parent }) => parent?.spanId === first?.spanContext().spanId)).toHaveLength(1);
  });

  it('that nobody is left in is empty, and the rebalance that this overtakes has ended', async () => {
    const name = topic(2);
    const one = member('left', [name]);
    await one.until(() => one.partitions.length === 2);
    one.autoRevoke = false;
    const two = member('left', [name]);
    await vi.waitFor(() => expect(lines('left')).toContain('group rebalances'));
    await Promise.all([one.leave(), two.leave()]);
    await vi.waitFor(() => expect(lines('left').at(-1)).toBe('group is empty'));
  });

  it('says when a member is put out', async () => {
    const name = topic(1);
    const one = member('silent', [name], { sessionTimeout: { seconds: 1n, nanos: 0 } });
    await one.until(() => one.partitions.length === 1);
    one.crash();
    await vi.waitFor(() => expect(lines('silent')).toContain('member is put out'), { timeout: 10_000 });
    await vi.waitFor(() => expect(lines('silent').at(-1)).toBe('group is empty'));
  });
});

describe('a shard', () => {
  it('is told when it is taken, with its recovery as a trace: claimed, then replayed', () => {
    const [taken] = world.logged.filter(({ msg }) => msg === 'group shard taken');
    expect(taken).toMatchObject({ level: 'info', shard: 0, claim_epoch: 1 });
    const recover = recorder
      .named('recover group shard')
      .find((span) => span.spanContext().traceId === taken?.['trace_id']);
    expect(recover).toMatchObject({ parent: undefined, ended: true, attributes: { 'partita.shard': 0 } });
    const below = recorder.spans.filter(({ parent }) => parent?.spanId === recover?.spanContext().spanId);
    expect(below.map((span) => span.name)).toEqual(['claim', 'replay']);
  });

  it('that is given up is told, and the rebalances of its groups have ended', async () => {
    const name = topic(2);
    const one = member('handed', [name]);
    await one.until(() => one.partitions.length === 2);
    one.autoRevoke = false;
    member('handed', [name]);
    await vi.waitFor(() => expect(lines('handed')).toContain('group rebalances'));
    await world.stopInstance(world.instances[0]!);
    expect(world.logged.some(({ msg }) => msg === 'group shard given up')).toBe(true);
    const [, cut] = recorder.named('rebalance handed');
    expect(cut).toMatchObject({ ended: true, status: { message: 'the shard went to another owner' } });
  });
});
