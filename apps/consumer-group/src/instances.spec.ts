import { asPartitaError } from '@partita/domain';
import { CommitOffsetsRequest, ConsumeInitial, GroupServiceService } from '@partita/protocol';
import { callMetadata } from '@partita/rpc';
import { callUnary, openBidi } from '@partita/rpc/client';
import { describe, expect, it } from 'vitest';
import type { FakeInstance } from './testing/fake-sessions.ts';
import { ServiceWorld } from './testing/service-world.ts';

const SHARD_COUNT = 4;
const world = new ServiceWorld({ shardCount: SHARD_COUNT, instanceCount: 2 });
const { cluster, pool, topic, member, describeGroup, committed } = world;

/** Even shards to the first instance, odd ones to the second; all to whoever does not drain. */
cluster.sessions.place = (shard, instances): FakeInstance | undefined => {
  const staying = instances.filter(({ draining }) => !draining);
  return staying[shard % Math.max(1, staying.length)];
};

/** Makes a group that `owner` serves. */
async function groupAt(owner: string, prefix: string): Promise<string> {
  for (let index = 0; ; index += 1) {
    const group = `${prefix}-${index}`;
    const request = CommitOffsetsRequest.fromPartial({
      group,
      offsets: [{ topic: someTopic(), partition: 0, nextOffset: 0n }],
    });
    await callUnary(pool.client(owner), GroupServiceService.commitOffsets, request);
    if ((await describeGroup(group)).ownerAddress === owner) return group;
  }
}

let shared = '';
function someTopic(): string {
  if (shared === '') shared = topic(1);
  return shared;
}

const addresses = (): [string, string] => [world.instances[0]!.address, world.instances[1]!.address];

async function listed(address: string, pageSize: number): Promise<string[]> {
  const seen: string[] = [];
  for (let pageToken = ''; ;) {
    const request = { pageSize, pageToken, shards: [] };
    const page = await callUnary(pool.client(address), GroupServiceService.listGroups, request);
    seen.push(...page.groups.map(({ group }) => group));
    pageToken = page.nextPageToken;
    if (pageToken === '') return seen;
  }
}

function reasonOf(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => 'answered',
    (error: unknown) => asPartitaError(error).reason,
  );
}

describe('two instances', () => {
  it('serve every group through either: calls are passed on to the owner', async () => {
    const [first, second] = addresses();
    for (const [owner, other] of [
      [first, second],
      [second, first],
    ] as const) {
      const group = await groupAt(owner, `unary-${owner === first ? 'a' : 'b'}`);
      expect((await describeGroup(group, other)).ownerAddress).toBe(owner);
      expect(await committed(group, other)).toEqual({ 0: 0n });
      await callUnary(pool.client(other), GroupServiceService.deleteGroup, { group });
      await expect(describeGroup(group, owner)).rejects.toMatchObject({ reason: 'GROUP_NOT_FOUND' });
    }
  });

  it("pass a member's stream on, both ways, with its client id, and tell who owns the group", async () => {
    const [first, second] = addresses();
    const group = await groupAt(first, 'stream');
    const name = topic(2);
    cluster.produce(name, 0, ['a', 'b']);
    const one = member(group, [name], {}, second);
    await one.until(() => one.values.length === 2);
    expect(one.all('joined')[0]?.joined.ownerAddress).toBe(first);
    one.ack(1n, [{ topic: name, partition: 0, nextOffset: 2n }]);
    await one.until(() => one.all('ackResult').length === 1);
    expect((await committed(group, first))[0]).toBe(2n);
    cluster.produce(name, 1, ['c']);
    await one.until(() => one.values.length === 3);
    await one.leave();
    expect((await one.closed)?.reason).toBeUndefined();
  });

  it('pass client id and errors on unchanged', async () => {
    const [first, second] = addresses();
    const group = await groupAt(first, 'ids');
    const name = topic(1);
    let memberId = '';
    const stream = openBidi(
      pool.client(second),
      GroupServiceService.consume,
      { onMessage: ({ message }) => void (memberId ||= message?.$case === 'joined' ? message.joined.memberId : '') },
      { metadata: callMetadata({ clientId: 'billing-worker' }) },
    );
    const initial = ConsumeInitial.fromPartial({ group, subscription: { topics: [name] } });
    stream.send({ message: { $case: 'initial', initial }, traceparent: '' });
    await expect.poll(() => memberId).not.toBe('');
    const [described] = (await describeGroup(group, second)).members;
    expect(described).toMatchObject({ memberId, clientId: 'billing-worker' });
    // All calls of this process to one address share a connection: its address is told, not that of the instance between.
    const direct = await groupAt(second, 'ids-here');
    const one = member(direct, [name], {}, second);
    await one.until(() => one.partitions.length === 1);
    expect(described?.peer).toBe((await describeGroup(direct, second)).members[0]?.peer);
    stream.cancel();
    const refused = member(group, ['nowhere'], {}, second);
    expect((await refused.closed)?.reason).toBe('TOPIC_NOT_FOUND');
    expect((await refused.closed)?.metadata).toMatchObject({ topic: 'nowhere' });
  });

  it('name the owner instead when the member asks for no relay', async () => {
    const [first, second] = addresses();
    const group = await groupAt(first, 'direct');
    const refused = member(group, [topic(1)], { noRelay: true }, second);
    const error = await refused.closed;
    expect(error).toMatchObject({ reason: 'NOT_GROUP_OWNER', metadata: { address: first } });
  });

  it('list the groups of all, in order, page by page, and never with a gap', async () => {
    const [first, second] = addresses();
    const groups = [await groupAt(first, 'list-b'), await groupAt(second, 'list-a'), await groupAt(first, 'list-c')];
    for (const address of [first, second]) {
      const all = await listed(address, 2);
      expect(all).toEqual([...new Set(all)].sort());
      expect(all).toEqual(expect.arrayContaining(groups));
    }
    // The other instance is believed to serve what it does not serve.
    cluster.sessions.told = ({ address }, shards) =>
      address === first ? shards.map((hint) => ({ ...hint, instanceId: 'gone', address: '127.0.0.1:1' })) : [...shards];
    cluster.sessions.tell();
    await expect.poll(() => reasonOf(listed(first, 10))).toBe('GROUP_LOADING');
    cluster.sessions.told = undefined;
    cluster.sessions.tell();
    await expect.poll(() => listed(first, 10).catch(() => [])).toEqual(expect.arrayContaining(groups));
  });

  it('do not pass a call to and fro when each holds the other for the owner', async () => {
    const [first, second] = addresses();
    const group = await groupAt(first, 'bounce');
    cluster.sessions.told = ({ address }, shards) => {
      const other = world.instances.find((instance) => instance.address !== address);
      return shards.map((hint) => ({ ...hint, instanceId: other!.instanceId, address: other!.address }));
    };
    cluster.sessions.tell();
    const reason = (address: string): Promise<string> => reasonOf(describeGroup(group, address));
    await expect.poll(() => reason(second)).toBe('NOT_GROUP_OWNER');
    expect((await member(group, [topic(1)], {}, second).closed)?.reason).toBe('NOT_GROUP_OWNER');
    cluster.sessions.told = undefined;
    cluster.sessions.tell();
    await expect.poll(() => reason(second)).toBe('answered');
  });
});

describe('an instance that goes', () => {
  it('hands its groups over when it drains: commits are kept, members go on elsewhere under their ids', async () => {
    const third = await world.startInstance();
    const staying = addresses()[0];
    const name = topic(2);
    cluster.produce(name, 0, ['a', 'b']);
    const group = await groupAt(third.address, 'drains');
    const one = member(group, [name], {}, third.address);
    await one.until(() => one.values.length === 2);
    one.ack(1n, [{ topic: name, partition: 0, nextOffset: 1n }]);
    await one.until(() => one.all('ackResult').length === 1);
    const stopped = world.stopInstance(third, { drain: true });
    await one.until(() => one.all('draining').length === 1);
    await one.closed;
    // Served elsewhere before the instance has stopped.
    await expect.poll(() => committed(group, staying).catch(() => ({}))).toEqual({ 0: 1n, 1: 0n });
    await stopped;
    const back = member(group, [name], { memberId: one.memberId, memberEpoch: one.memberEpoch }, staying);
    await back.until(() => back.values.length === 1);
    expect(back.values).toEqual(['b']);
    expect(back.memberId).toBe(one.memberId);
  });

  it('ends the streams that were passed on to it with an error that says to come back', async () => {
    const third = await world.startInstance();
    const [first] = addresses();
    const group = await groupAt(third.address, 'dies');
    const name = topic(1);
    const one = member(group, [name], {}, first);
    await one.until(() => one.partitions.length === 1);
    await world.stopInstance(third);
    expect((await one.closed)?.reason).toBe('GROUP_LOADING');
    const back = member(group, [name], { memberId: one.memberId, memberEpoch: one.memberEpoch }, first);
    await back.until(() => back.partitions.length === 1);
    expect(back.memberId).toBe(one.memberId);
  });
});
