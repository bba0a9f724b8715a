import { GroupState } from '@partita/protocol';
import { describe, expect, it } from 'vitest';
import { ServiceWorld } from './testing/service-world.ts';

const world = new ServiceWorld();
const { topic, member, describeGroup, committed, cluster } = world;

describe('members that come and go', () => {
  it('share partitions evenly, and give up only what must move', async () => {
    const name = topic(4);
    const one = member('share', [name]);
    await one.until(() => one.partitions.length === 4);
    const two = member('share', [name]);
    await two.until(() => two.partitions.length === 2);
    await one.until(() => one.partitions.length === 2);
    expect([...one.partitions, ...two.partitions].sort()).toEqual([0, 1, 2, 3]);
    expect((await describeGroup('share')).summary).toMatchObject({
      memberCount: 2,
      state: GroupState.GROUP_STATE_STABLE,
    });
    await two.leave();
    await one.until(() => one.partitions.length === 4);
  });

  it('get a partition only when its holder has released it, at the offset of its last commit', async () => {
    const name = topic(2);
    cluster.produce(name, 0, ['a0', 'a1']);
    cluster.produce(name, 1, ['b0', 'b1']);
    const one = member('handover', [name]);
    one.autoRevoke = false;
    await one.until(() => one.values.length === 4);
    const two = member('handover', [name]);
    await one.until(() => one.assignment?.revoking.length === 1);
    const [revoking] = one.assignment?.revoking ?? [];
    expect(two.partitions).toEqual([]);
    const { topic: name2, partition, assignmentEpoch } = revoking!;
    const last = { topic: name2, partition, assignmentEpoch, nextOffset: 1n, recordEpoch: 1, metadata: '' };
    one.send({ $case: 'revoked', revoked: { partitions: [revoking!], offsets: [last] } });
    await two.until(() => two.values.length === 1);
    expect(two.assignment?.partitions[0]).toMatchObject({ partition, startOffset: 1n });
    one.ack(1n, [{ topic: name, partition, nextOffset: 2n, assignmentEpoch }]);
    await one.until(() => one.all('ackResult').length === 1);
    expect(one.all('ackResult')[0]?.ackResult.failures).toHaveLength(1);
    expect((await committed('handover'))[partition]).toBe(1n);
  });

  it('lose their partitions when they are silent for the session time-out', async () => {
    const name = topic(2);
    const one = member('silent', [name], { sessionTimeout: { seconds: 1n, nanos: 0 } });
    const two = member('silent', [name]);
    await two.until(() => two.partitions.length === 1);
    one.crash();
    await two.until(() => two.partitions.length === 2);
    const back = member('silent', [name], { memberId: one.memberId, memberEpoch: one.memberEpoch });
    expect((await back.closed)?.reason).toBe('STALE_GENERATION');
    const again = member('silent', [name], { memberId: one.memberId });
    await again.until(() => again.partitions.length === 1);
    expect(again.memberId).not.toBe(one.memberId);
  });

  it('that are static take over under their name, and fence the older process', async () => {
    const name = topic(2);
    const one = member('static', [name], { instanceId: 'worker-1' });
    await one.until(() => one.partitions.length === 2);
    const two = member('static', [name], { instanceId: 'worker-1' });
    await two.until(() => two.partitions.length === 2);
    expect((await one.closed)?.reason).toBe('FENCED_INSTANCE');
    expect(two.memberId).toBe(one.memberId);
    expect(two.memberEpoch).toBeGreaterThan(one.memberEpoch);
  });

  it('follow a change of subscription and a deleted topic', async () => {
    const [first, second] = [topic(1), 'short-lived'];
    const topicId = cluster.createTopic(second, 2);
    const one = member('subs', [first]);
    await one.until(() => one.partitions.length === 1);
    one.send({ $case: 'subscription', subscription: { topics: [first, second], topicPattern: '' } });
    await one.until(() => one.partitions.length === 3);
    cluster.deleteTopic(topicId);
    await one.until(() => one.partitions.length === 1);
  });
});

describe('the time-outs of a member', () => {
  const SECOND = { seconds: 1n, nanos: 0 };
  const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

  it('count from anything that it says: a slow handler loses nothing while its stream lives', async () => {
    const name = topic(1);
    const beats = member('slow-handler', [name], { sessionTimeout: SECOND });
    await beats.until(() => beats.partitions.length === 1);
    const { memberEpoch } = beats;
    await sleep(1500);
    beats.stopHeartbeats();
    for (let turn = 0; turn < 5; turn += 1) {
      await sleep(300);
      beats.grant(1);
    }
    expect((await describeGroup('slow-handler')).members).toMatchObject([{ memberId: beats.memberId, memberEpoch }]);
    expect((await beats.closed)?.reason).toBe('STALE_GENERATION');
  });

  it('put it out for what it keeps back, though it is heard, after the rebalance time-out and not before', async () => {
    const name = topic(2);
    const keeps = member('keeps', [name], { rebalanceTimeout: SECOND, sessionTimeout: { seconds: 60n, nanos: 0 } });
    keeps.autoRevoke = false;
    await keeps.until(() => keeps.partitions.length === 2);
    const waits = member('keeps', [name]);
    await keeps.until(() => keeps.assignment?.revoking.length === 1);
    const sinceMs = performance.now();
    expect((await keeps.closed)?.reason).toBe('STALE_GENERATION');
    expect(performance.now() - sinceMs).toBeGreaterThan(800);
    await waits.until(() => waits.partitions.length === 2);
  });
});

describe('a member that comes back with a new stream', () => {
  it('is told its whole state again, goes on from its commits, and replaces the stream of before', async () => {
    const name = topic(2);
    cluster.produce(name, 0, ['a', 'b']);
    const one = member('again', [name]);
    await one.until(() => one.values.length === 2);
    one.ack(1n, [{ topic: name, partition: 0, nextOffset: 1n }]);
    await one.until(() => one.all('ackResult').length === 1);
    const back = member('again', [name], { memberId: one.memberId, memberEpoch: one.memberEpoch });
    await back.until(() => back.values.length === 1);
    expect((await one.closed)?.reason).toBe('STALE_GENERATION');
    expect(back.memberId).toBe(one.memberId);
    expect(back.memberEpoch).toBe(one.memberEpoch);
    expect(back.assignment?.partitions.map(({ partition, startOffset }) => [partition, startOffset])).toEqual([
      [0, 1n],
      [1, 0n],
    ]);
    expect(back.assignment?.partitions.map(({ assignmentEpoch }) => assignmentEpoch)).toEqual(
      one.assignment?.partitions.map(({ assignmentEpoch }) => assignmentEpoch),
    );
    expect(back.values).toEqual(['b']);
  });

  it('moves nothing by a seek of an earlier assignment', async () => {
    const name = topic(1);
    cluster.produce(name, 0, ['a', 'b']);
    const one = member('old-seek', [name]);
    await one.until(() => one.values.length === 2);
    const [held] = one.assignment?.partitions ?? [];
    const position = { position: { $case: 'earliest' as const, earliest: true } };
    const partition = { ...held!, assignmentEpoch: held!.assignmentEpoch - 1 };
    one.send({ $case: 'seek', seek: { entries: [{ partition, position, seekId: 4n }] } });
    cluster.produce(name, 0, ['c']);
    await one.until(() => one.values.length === 3);
    expect(one.values).toEqual(['a', 'b', 'c']);
    expect(one.all('records').at(-1)?.records.seekId).toBe(0n);
  });
});
