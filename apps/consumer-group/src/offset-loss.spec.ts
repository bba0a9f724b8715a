import { OffsetLostPolicy } from '@partita/protocol';
import type { OffsetSpec } from '@partita/protocol';
import { describe, expect, it } from 'vitest';
import { ServiceWorld } from './testing/service-world.ts';

const world = new ServiceWorld();
const { cluster, topic, member, describeGroup, committed } = world;
const HOUR_MS = 3_600_000;

/** A group whose committed offset 0 is gone: the log holds b (an hour and a half old), c and d. */
async function lostGroup(group: string): Promise<string> {
  const name = topic(1);
  cluster.produce(name, 0, ['a'], 3 * HOUR_MS);
  cluster.produce(name, 0, ['b'], 1.5 * HOUR_MS);
  cluster.produce(name, 0, ['c'], 0.5 * HOUR_MS);
  cluster.produce(name, 0, ['d']);
  const one = member(group, [name]);
  await one.until(() => one.values.length === 4);
  await one.leave();
  cluster.trim(name, 0, 1n);
  return name;
}

describe('a committed offset that is gone', () => {
  it('ends the stream by default, and the member leaves, so that it holds nothing up', async () => {
    const name = await lostGroup('lost-error');
    const refused = member('lost-error', [name]);
    expect((await refused.closed)?.reason).toBe('OFFSET_LOST');
    await expect.poll(async () => (await describeGroup('lost-error')).members).toEqual([]);
    expect(await committed('lost-error')).toEqual({ 0: 0n });
  });

  it.each<[string, OffsetLostPolicy, OffsetSpec['position'], string[]]>([
    ['the log start', OffsetLostPolicy.OFFSET_LOST_POLICY_EARLIEST, undefined, ['b', 'c', 'd']],
    ['the end', OffsetLostPolicy.OFFSET_LOST_POLICY_LATEST, undefined, []],
    [
      'a time',
      OffsetLostPolicy.OFFSET_LOST_POLICY_TIME,
      { $case: 'time', time: { seconds: BigInt(Math.floor((Date.now() - HOUR_MS) / 1000)), nanos: 0 } },
      ['c', 'd'],
    ],
    [
      'a while ago',
      OffsetLostPolicy.OFFSET_LOST_POLICY_DURATION,
      { $case: 'ago', ago: { seconds: 600n, nanos: 0 } },
      ['d'],
    ],
  ])('goes on at %s when the policy says so, with an event', async (_, offsetLostPolicy, position, values) => {
    const group = `lost-${offsetLostPolicy}`;
    const name = await lostGroup(group);
    const offsetLostPosition = position === undefined ? undefined : { position };
    const one = member(group, [name], { offsetLostPolicy, offsetLostPosition });
    await one.until(() => one.all('caughtUp').length === 1);
    expect(one.values).toEqual(values);
    expect(one.all('event').map(({ event }) => event)).toMatchObject([
      { kind: 1, oldOffset: 0n, newOffset: 4n - BigInt(values.length) },
    ]);
  });

  it.each([
    [OffsetLostPolicy.OFFSET_LOST_POLICY_EARLIEST, 'event'],
    [OffsetLostPolicy.OFFSET_LOST_POLICY_ERROR, 'end'],
  ])('is never a silent jump when the log moves on under a member that reads: policy %s, %s', async (policy, what) => {
    const name = topic(1);
    const group = `lost-reading-${what}`;
    cluster.produce(name, 0, ['a', 'b']);
    const one = member(group, [name], { offsetLostPolicy: policy });
    await one.until(() => one.values.length === 2);
    cluster.trim(name, 0, 5n);
    cluster.produce(name, 0, ['c']);
    if (what === 'end') {
      expect((await one.closed)?.reason).toBe('OFFSET_LOST');
      await expect.poll(async () => (await describeGroup(group)).members).toEqual([]);
    } else {
      await one.until(() => one.values.length === 3);
      expect(one.values).toEqual(['a', 'b', 'c']);
      expect(one.all('event')[0]?.event).toMatchObject({ kind: 1, oldOffset: 2n, newOffset: 5n });
    }
  });
});
