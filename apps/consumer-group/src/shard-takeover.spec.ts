import { ChannelPool } from '@partita/rpc/client';
import { describe, expect, it } from 'vitest';
import { PLENTY, ServiceWorld } from './testing/service-world.ts';
import { TestMember } from './testing/test-member.ts';

const world = new ServiceWorld();
const { topic, member, committed, cluster } = world;

describe('the owner of a shard', () => {
  it.each(['stored in doubt', 'refused in doubt'] as const)(
    'claims anew and replays after an append that was %s, and streams live on',
    async (fault) => {
      const name = topic(1);
      cluster.produce(name, 0, ['a', 'b']);
      const group = `doubt-${fault.split(' ')[0]}`;
      const one = member(group, [name]);
      await one.until(() => one.values.length === 2);
      cluster.appendFaults.push(fault);
      one.ack(1n, [{ topic: name, partition: 0, nextOffset: 2n }]);
      await one.until(() => one.all('ackResult').length === 1);
      expect(one.all('ackResult')[0]?.ackResult.error).toBeUndefined();
      expect(await committed(group)).toEqual({ 0: 2n });
      cluster.produce(name, 0, ['c']);
      await one.until(() => one.values.length === 3);
    },
  );

  it('drains: members are told, come back to the next owner with their ids, and keep partitions and commits', async () => {
    const name = topic(2);
    cluster.produce(name, 0, ['a', 'b']);
    // A connection of its own: grpc-js gives up one that got GOAWAY at its next keepalive ping.
    const ownPool = new ChannelPool();
    const one = new TestMember(ownPool, world.address, {
      group: 'drain',
      subscription: { topics: [name] },
      credit: PLENTY,
    });
    await one.until(() => one.values.length === 2);
    one.ack(1n, [{ topic: name, partition: 0, nextOffset: 1n }]);
    await one.until(() => one.all('ackResult').length === 1);
    const epochs = one.assignment?.partitions.map((held) => held.assignmentEpoch);
    const [before] = world.instances;
    const drained = world.stopInstance(before!, { drain: true });
    await one.until(() => one.all('draining').length === 1);
    expect((await one.closed)?.reason).toBe('SHUTTING_DOWN');
    await drained;
    ownPool.close();
    await world.startInstance();
    const back = member('drain', [name], { memberId: one.memberId, memberEpoch: one.memberEpoch });
    await back.until(() => back.values.length === 1);
    expect(back.values).toEqual(['b']);
    expect(back.assignment?.partitions.map((held) => held.assignmentEpoch)).toEqual(epochs);
  });
});
