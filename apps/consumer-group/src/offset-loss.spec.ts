import { OffsetLostPolicy } from '@partita/protocol';
import { describe, expect, it } from 'vitest';
import { ServiceWorld } from './testing/service-world.ts';

const world = new ServiceWorld();
const { topic, member, cluster } = world;

describe('offsets that are gone', () => {
  it('end the stream by default, and move on with an event when the policy says so', async () => {
    const name = topic(1);
    cluster.produce(name, 0, ['a']);
    cluster.produce(name, 0, ['b']);
    const one = member('lost', [name]);
    await one.until(() => one.values.length === 2);
    await one.leave();
    cluster.trim(name, 0, 1n);
    const refused = member('lost', [name]);
    expect((await refused.closed)?.reason).toBe('OFFSET_LOST');
    const two = member('lost', [name], {
      memberId: refused.memberId,
      offsetLostPolicy: OffsetLostPolicy.OFFSET_LOST_POLICY_EARLIEST,
    });
    await two.until(() => two.values.length === 1);
    expect(two.all('event')[0]?.event).toMatchObject({ oldOffset: 0n, newOffset: 1n });
  });
});
