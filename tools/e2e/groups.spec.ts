/** Consumer groups over real processes: complete, in order, exactly from where the group stood. */
import { connect } from '@partita/client';
import type { Consumer, PartitaClient } from '@partita/client';
import { GroupServiceService, GroupState } from '@partita/protocol';
import { callUnary } from '@partita/rpc/client';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Api } from './api.ts';
import { startCluster } from './harness.ts';
import type { Cluster } from './harness.ts';
import { Member } from './member.ts';
import { isAlive, killNow } from './processes.ts';
import { until } from './until.ts';

const PARTITION_COUNT = 6;
/** Of members that vanish, and of those whose service dies: others wait for as long. */
const SESSION_SECONDS = 3;
const KEYS = Array.from({ length: 20 }, (_, index) => `key-${index}`);

let cluster: Cluster;
let api: Api;
let members: Member[] = [];
beforeAll(async () => {
  cluster = await startCluster();
  api = new Api(cluster);
});
afterEach(() => {
  for (const member of members) member.drop();
  members = [];
});
afterAll(async () => {
  api.close();
  await cluster.dispose();
});

function join(group: string, topic: string): Member {
  const member = new Member(api, cluster.addresses.consumerGroup, group, [topic], SESSION_SECONDS);
  members.push(member);
  return member;
}

/** Appends `count` records in rounds over the keys; values are `<key> <number>`, growing per key. */
async function produce(topic: string, count: number, from = 0): Promise<string[]> {
  const records = Array.from({ length: count }, (_, index) => {
    const key = KEYS[index % KEYS.length] ?? '';
    return { key, value: `${key} ${from + index}` };
  });
  for (let start = 0; start < count; start += 50) await api.produce(topic, records.slice(start, start + 50));
  return records.map(({ value }) => value);
}

/** Fails when the values of a key do not grow. */
function expectOrderPerKey(values: readonly string[]): void {
  const last = new Map<string, number>();
  for (const value of values) {
    const [key = '', number = ''] = value.split(' ');
    expect(Number(number), `after ${key} ${last.get(key)}`).toBeGreaterThan(last.get(key) ?? -1);
    last.set(key, Number(number));
  }
}

async function describeGroup(group: string) {
  return callUnary(api.pool.client(cluster.addresses.consumerGroup), GroupServiceService.describeGroup, { group });
}

describe('a group of three members', () => {
  it('gets every record once, each key in order, each partition by one member', async () => {
    await api.createTopic('three', PARTITION_COUNT);
    const three = [join('g-three', 'three'), join('g-three', 'three'), join('g-three', 'three')];
    await Promise.all(three.map((member) => member.untilHolding(2)));
    const held = three.flatMap((member) => member.held.map(({ partition }) => partition));
    expect(held.sort()).toEqual([0, 1, 2, 3, 4, 5]);

    const sent = await produce('three', 600);
    await until('600 records', 20, () => three.reduce((sum, { deliveries }) => sum + deliveries.length, 0) >= 600);
    for (const member of three) expectOrderPerKey(member.values);
    expect(three.flatMap(({ values }) => values).sort()).toEqual(sent.sort());

    const { summary, partitions } = await describeGroup('g-three');
    expect(summary).toMatchObject({ state: GroupState.GROUP_STATE_STABLE, memberCount: 3 });
    expect(partitions).toHaveLength(PARTITION_COUNT);
    for (const member of three) await member.leave();
  });

  it('grows from one to three and shrinks to two; a committed record never comes again', async () => {
    await api.createTopic('resize', PARTITION_COUNT);
    const first = join('g-resize', 'resize');
    await first.untilHolding(6);
    const sent = await produce('resize', 120);
    await first.untilDelivered(120);
    await first.commit();

    const second = join('g-resize', 'resize');
    const third = join('g-resize', 'resize');
    const all = [first, second, third];
    await Promise.all(all.map((member) => member.untilHolding(2)));
    sent.push(...(await produce('resize', 120, 1000)));
    const total = (): number => all.reduce((sum, { deliveries }) => sum + deliveries.length, 0);
    await until('240 records', 20, () => total() >= 240);

    await third.leave();
    await Promise.all([first.untilHolding(3), second.untilHolding(3)]);
    sent.push(...(await produce('resize', 120, 2000)));
    await until('360 records', 20, () => total() >= 360);
    expect(all.flatMap(({ values }) => values).sort()).toEqual(sent.sort());
    await first.leave();
    await second.leave();
  });

  it('takes the partitions of a member that vanished, from its last commit', async () => {
    await api.createTopic('vanish', 2);
    const [stays, goes] = [join('g-vanish', 'vanish'), join('g-vanish', 'vanish')];
    await Promise.all([stays.untilHolding(1), goes.untilHolding(1)]);
    const sent = await produce('vanish', 40);
    await until('40 records', 20, () => stays.deliveries.length + goes.deliveries.length >= 40);
    await goes.commit();
    goes.drop();
    await stays.untilHolding(2);
    sent.push(...(await produce('vanish', 40, 1000)));
    const before = goes.values;
    await until('the rest', 20, () => stays.deliveries.length + before.length >= 80);
    expect([...stays.values, ...before].sort()).toEqual(sent.sort());
    await stays.leave();
  });
});

describe('the consumer-group process killed with -9', () => {
  it('keeps commits: a group goes on exactly where it stood', async () => {
    await api.createTopic('restart', PARTITION_COUNT);
    await produce('restart', 300);
    const before = join('g-restart', 'restart');
    await before.untilDelivered(300);
    await before.leave();
    const committed = (await describeGroup('g-restart')).partitions.map(({ partition, nextOffset }) => [
      partition,
      nextOffset,
    ]);

    const [pid] = cluster.file.pids.consumerGroup;
    killNow([pid!]);
    const fresh = await produce('restart', 60, 1000);
    await until('the consumer-group service to be back', 30, () => {
      const [now] = cluster.file.pids.consumerGroup;
      return now !== undefined && now !== pid && isAlive(now);
    });
    const after = await until('the group to be loaded', 20, () => describeGroup('g-restart'));
    expect(after.partitions.map(({ partition, nextOffset }) => [partition, nextOffset])).toEqual(committed);
    expect(after.partitions.reduce((sum, { lagRecords }) => sum + lagRecords, 0n)).toBe(60n);

    const resumed = join('g-restart', 'restart');
    await resumed.untilDelivered(60);
    expect(resumed.values.sort()).toEqual(fresh.sort());
    await resumed.leave();
  });
});

describe('consumers of the SDK', () => {
  let client: PartitaClient;
  beforeAll(async () => {
    client = await connect({ servers: [cluster.addresses.gateway], clientId: 'e2e-sdk' });
  });
  afterAll(() => client.close());

  it.each(['batches', 'direct'] as const)(
    'of %s come back when the service is killed, and skip nothing',
    async (delivery) => {
      const topic = `sdk-${delivery}`;
      await client.admin.createTopic({ name: topic, partitionCount: PARTITION_COUNT, replicationFactor: 1 });
      const seen: string[][] = [[], [], []];
      const consumers = seen.map(() => client.consumer({ group: `g-${delivery}`, topics: [topic], delivery }));
      const runs = consumers.map((consumer: Consumer, index) =>
        consumer.run((record) => void seen[index]?.push(Buffer.from(record.value ?? []).toString())),
      );
      const sent = await produce(topic, 300);
      await until('300 records', 30, () => new Set(seen.flat()).size >= 300);
      killNow(cluster.file.pids.consumerGroup);
      sent.push(...(await produce(topic, 300, 1000)));
      await until('600 records', 60, () => new Set(seen.flat()).size >= 600);
      expect([...new Set(seen.flat())].sort()).toEqual(sent.sort());
      await Promise.all(consumers.map((consumer) => consumer.close()));
      await Promise.all(runs);
    },
  );
});

describe('two consumer-group instances', () => {
  let two: Cluster;
  let twoApi: Api;
  beforeAll(async () => {
    // The killed instance stays away: started again it would take its share back, and end streams for it.
    two = await startCluster({ args: ['--consumer-groups', '2', '--no-restart'] });
    twoApi = new Api(two);
  });
  afterAll(async () => {
    twoApi.close();
    await two.dispose();
  });

  it('share the groups, and the groups of one that is killed with -9 go on at the other from their last commits', async () => {
    await twoApi.createTopic('pair', PARTITION_COUNT);
    const [first = '', second = ''] = two.file.consumerGroups;
    const ask = (address: string, group: string) =>
      callUnary(twoApi.pool.client(address), GroupServiceService.describeGroup, { group }, { deadlineMs: 3000 });
    // Groups of both owners, each consumed through the first instance: half of the streams are passed on.
    const groups = Array.from({ length: 8 }, (_, index) => `pair-${index}`);
    const joined = groups.map((group) => new Member(twoApi, first, group, ['pair'], SESSION_SECONDS));
    await Promise.all(joined.map((member) => member.untilHolding(PARTITION_COUNT)));
    const owners = await Promise.all(groups.map(async (group) => (await ask(first, group)).ownerAddress));
    expect(new Set(owners)).toEqual(new Set([first, second]));
    const values = Array.from({ length: 60 }, (_, index) => ({ key: `key-${index % 20}`, value: `value ${index}` }));
    await twoApi.produce('pair', values);
    for (const member of joined) {
      await member.untilDelivered(60);
      await member.commit();
    }

    const victim = owners.indexOf(second);
    const group = groups[victim] ?? '';
    killNow([two.file.pids.consumerGroup[1]!]);
    await until('the stream that was passed on to end', 10, () => joined[victim]?.ended !== undefined);
    expect(joined[victim]?.ended).toMatchObject({ reason: 'GROUP_LOADING' });
    const after = await until('the group to be served by the other', 20, async () => {
      const described = await ask(first, group);
      return described.ownerAddress === first ? described : undefined;
    });
    expect(after.partitions.reduce((sum, { lagRecords }) => sum + lagRecords, 0n)).toBe(0n);
    await twoApi.produce('pair', [{ key: 'a', value: 'after' }]);
    const back = new Member(twoApi, first, group, ['pair'], SESSION_SECONDS);
    await until('the new record alone', 30, () => back.values.length > 0);
    expect(back.values).toEqual(['after']);
    for (const member of [...joined, back]) member.drop();
  });
});
