import { ConsumeEventKind, GroupServiceService, ResetOffsetsRequest } from '@partita/protocol';
import type { OffsetSpec, ResetOffsetsResponse } from '@partita/protocol';
import { callUnary } from '@partita/rpc/client';
import { describe, expect, it } from 'vitest';
import { ServiceWorld } from './testing/service-world.ts';

const world = new ServiceWorld();
const { cluster, pool, topic, member, committed } = world;
const HOUR_MS = 3_600_000;

function reset(request: Parameters<typeof ResetOffsetsRequest.fromPartial>[0]): Promise<ResetOffsetsResponse> {
  const client = pool.client(world.address);
  return callUnary(client, GroupServiceService.resetOffsets, ResetOffsetsRequest.fromPartial(request), {
    deadlineMs: 8000,
  });
}

const to = (position: OffsetSpec['position']) => ({ target: { $case: 'position' as const, position: { position } } });
const by = (shift: bigint) => ({ target: { $case: 'shift' as const, shift } });

/** A group that has read all four records of two partitions and has no members. */
async function readGroup(group: string): Promise<string> {
  const name = topic(2);
  for (const partition of [0, 1]) {
    cluster.produce(name, partition, ['a'], 3 * HOUR_MS);
    cluster.produce(name, partition, ['b'], 2 * HOUR_MS);
    cluster.produce(name, partition, ['c'], HOUR_MS);
    cluster.produce(name, partition, ['d']);
  }
  const one = member(group, [name]);
  await one.until(() => one.values.length === 8);
  one.ack(1n, [
    { topic: name, partition: 0, nextOffset: 4n },
    { topic: name, partition: 1, nextOffset: 4n },
  ]);
  await one.until(() => one.all('ackResult').length === 1);
  await one.leave();
  return name;
}

describe('a reset of a group without members', () => {
  it.each<[string, Parameters<typeof reset>[0], bigint]>([
    ['the earliest', to({ $case: 'earliest', earliest: true }), 0n],
    ['the latest', to({ $case: 'latest', latest: true }), 4n],
    ['an offset', to({ $case: 'offset', offset: 3n }), 3n],
    ['a duration ago', to({ $case: 'ago', ago: { seconds: 5400n, nanos: 0 } }), 2n],
    ['a time', to({ $case: 'time', time: { seconds: BigInt(Math.floor(Date.now() / 1000) - 9000), nanos: 0 } }), 1n],
    ['some records back', by(-2n), 2n],
    ['as far back as the log goes', by(-99n), 0n],
    ['no further than the end', by(99n), 4n],
  ])('goes to %s', async (what, target, offset) => {
    const group = `reset-${what.replaceAll(' ', '-')}`;
    const name = await readGroup(group);
    const wanted = { group, topic: name, partitions: [1], ...target };
    const moves = [{ partition: 1, oldOffset: 4n, newOffset: offset }];
    expect(await reset({ ...wanted, validateOnly: true })).toEqual({ moves });
    expect(await committed(group)).toEqual({ 0: 4n, 1: 4n });
    expect(await reset(wanted)).toEqual({ moves });
    expect(await committed(group)).toEqual({ 0: 4n, 1: offset });
  });

  it('moves all partitions when none is named, and what was lost comes back', async () => {
    const name = await readGroup('reset-all');
    await reset({ group: 'reset-all', topic: name, ...by(-1n) });
    const one = member('reset-all', [name]);
    await one.until(() => one.values.length === 2);
    expect(one.values).toEqual(['d', 'd']);
    expect(one.all('event')).toEqual([]);
  });

  it('is refused for what is not there, and then moves nothing', async () => {
    const name = await readGroup('reset-refused');
    const group = 'reset-refused';
    const beyond = reset({ group, topic: name, ...to({ $case: 'offset', offset: 5n }) });
    await expect(beyond).rejects.toMatchObject({ reason: 'OFFSET_OUT_OF_RANGE' });
    await expect(reset({ group: 'nobody', topic: name, ...by(1n) })).rejects.toMatchObject({
      reason: 'GROUP_NOT_FOUND',
    });
    await expect(reset({ group, topic: 'nowhere', ...by(1n) })).rejects.toMatchObject({ reason: 'TOPIC_NOT_FOUND' });
    await expect(reset({ group, topic: name, partitions: [0, 2], ...by(-1n) })).rejects.toMatchObject({
      reason: 'PARTITION_NOT_FOUND',
    });
    await expect(reset({ group, topic: name })).rejects.toMatchObject({ reason: 'INVALID_REQUEST' });
    // Nothing to count from.
    await expect(reset({ group, topic: topic(1), ...by(1n) })).rejects.toMatchObject({ reason: 'INVALID_REQUEST' });
    expect(await committed(group)).toEqual({ 0: 4n, 1: 4n });
  });
});

describe('a reset while members run', () => {
  it('restarts delivery there with an event, and refuses the commits that were under way', async () => {
    const name = topic(1);
    cluster.produce(name, 0, ['a', 'b', 'c']);
    const one = member('reset-live', [name]);
    await one.until(() => one.values.length === 3);
    const before = one.holding(name, 0)!.assignmentEpoch;
    one.ack(1n, [{ topic: name, partition: 0, nextOffset: 3n }]);
    await one.until(() => one.all('ackResult').length === 1);
    expect(await reset({ group: 'reset-live', topic: name, ...by(-2n) })).toEqual({
      moves: [{ partition: 0, oldOffset: 3n, newOffset: 1n }],
    });
    await one.until(() => one.values.length === 5);
    expect(one.values).toEqual(['a', 'b', 'c', 'b', 'c']);
    const [event] = one.all('event');
    const kind = ConsumeEventKind.CONSUME_EVENT_KIND_RESET;
    expect(event?.event).toMatchObject({ topic: name, partition: 0, kind, oldOffset: 3n, newOffset: 1n });
    expect(one.holding(name, 0)?.assignmentEpoch).toBeGreaterThan(before);
    one.ack(2n, [{ topic: name, partition: 0, nextOffset: 3n, assignmentEpoch: before }]);
    await one.until(() => one.all('ackResult').length === 2);
    expect(one.all('ackResult')[1]?.ackResult.failures).toHaveLength(1);
    expect(await committed('reset-live')).toEqual({ 0: 1n });
  });

  it('is told to a member that was away meanwhile', async () => {
    const name = topic(1);
    cluster.produce(name, 0, ['a', 'b']);
    const one = member('reset-away', [name]);
    await one.until(() => one.values.length === 2);
    one.crash();
    await reset({ group: 'reset-away', topic: name, ...to({ $case: 'offset', offset: 1n }) });
    const back = member('reset-away', [name], { memberId: one.memberId, memberEpoch: one.memberEpoch });
    await back.until(() => back.values.length === 1);
    expect(back.values).toEqual(['b']);
    expect(back.all('event')[0]?.event).toMatchObject({ newOffset: 1n });
  });
});
