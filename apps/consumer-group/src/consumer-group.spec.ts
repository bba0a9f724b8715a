import { createLogger, systemRandom } from '@partita/runtime';
import type { RunningService } from '@partita/runtime';
import {
  ConsumeInitial,
  CommitOffsetsRequest,
  GroupServiceService,
  GroupState,
  OffsetLostPolicy,
  ReadRecordsRequest,
} from '@partita/protocol';
import { callUnary, ChannelPool } from '@partita/rpc/client';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { parseConsumerGroupConfig } from './config.ts';
import { startConsumerGroup } from './consumer-group.ts';
import { FakeCluster } from './testing/fake-cluster.ts';
import { TestMember } from './testing/test-member.ts';

const logger = createLogger({
  service: 'test',
  instance: 't',
  level: process.env['PARTITA_TEST_LOG'] === 'on' ? 'debug' : 'silent',
});
const cluster = new FakeCluster(logger);
const pool = new ChannelPool();
const members: TestMember[] = [];
let service: RunningService;
let address = '';
let topicCount = 0;

async function startService(): Promise<RunningService> {
  const parsed = parseConsumerGroupConfig(['--listen', '127.0.0.1:0', '--coordinators', cluster.address], {});
  if (parsed.kind !== 'run') throw new Error(parsed.stderr);
  const fail = (error: unknown): void => expect.fail(String(error));
  const started = await startConsumerGroup({
    config: parsed.config,
    instanceId: systemRandom.uuid(),
    logger,
    tracing: false,
    fail,
  });
  address = String(started.ready['address']);
  return started;
}

function topic(partitionCount: number, options = {}): string {
  topicCount += 1;
  const name = `topic-${topicCount}`;
  cluster.createTopic(name, partitionCount, options);
  return name;
}

const PLENTY = { records: 10_000n, bytes: 10_000_000n };

function member(
  group: string,
  topics: readonly string[],
  initial: Parameters<typeof ConsumeInitial.fromPartial>[0] = {},
): TestMember {
  const joined = new TestMember(pool, address, {
    group,
    subscription: { topics: [...topics] },
    credit: PLENTY,
    ...initial,
  });
  members.push(joined);
  return joined;
}

async function describeGroup(group: string) {
  return callUnary(pool.client(address), GroupServiceService.describeGroup, { group }, { deadlineMs: 5000 });
}

async function committed(group: string) {
  const { offsets } = await callUnary(
    pool.client(address),
    GroupServiceService.getCommittedOffsets,
    { group, topics: [] },
    { deadlineMs: 5000 },
  );
  return Object.fromEntries(offsets.map((offset) => [offset.partition, offset.nextOffset]));
}

beforeAll(async () => {
  await cluster.start();
  service = await startService();
});

afterEach(() => {
  for (const one of members.splice(0)) one.crash();
});

afterAll(async () => {
  await service.close();
  pool.close();
  cluster.close();
});

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

describe('what is refused', () => {
  const cases: [string, Parameters<typeof ConsumeInitial.fromPartial>[0], string][] = [
    ['an unknown topic', { subscription: { topics: ['nowhere'] } }, 'TOPIC_NOT_FOUND'],
    ['an impossible topic name', { subscription: { topics: ['a b'] } }, 'INVALID_TOPIC_NAME'],
    ['no topics', { subscription: { topics: [] } }, 'INVALID_REQUEST'],
    ['a pattern', { subscription: { topics: [], topicPattern: '.*' } }, 'NOT_IMPLEMENTED'],
    ['a group id with a blank', { group: 'a b' }, 'INVALID_REQUEST'],
    ['a negative credit', { credit: { records: -1n, bytes: 1n } }, 'INVALID_REQUEST'],
    ['an unknown assignor', { assignor: 'random' }, 'INVALID_REQUEST'],
    ['an unknown enum value', { deliveryForm: 77 as never }, 'INVALID_REQUEST'],
    ['a session time-out of a day', { sessionTimeout: { seconds: 86_400n, nanos: 0 } }, 'INVALID_REQUEST'],
  ];
  it.each(cases)('%s', async (_, initial, reason) => {
    const name = topic(1);
    expect((await member('refused', [name], initial).closed)?.reason).toBe(reason);
  });

  it('messages out of turn', async () => {
    const name = topic(1);
    const one = member('turn', [name]);
    one.send({ $case: 'initial', initial: ConsumeInitial.fromPartial({}) });
    expect((await one.closed)?.reason).toBe('STREAM_ORDER');
  });

  it('a later negative credit', async () => {
    const name = topic(1);
    const one = member('negative', [name]);
    await one.until(() => one.partitions.length === 1);
    one.grant(-5);
    expect((await one.closed)?.reason).toBe('INVALID_REQUEST');
  });

  it('commits beyond the log, and from outside while there are members', async () => {
    const name = topic(1);
    const one = member('beyond', [name]);
    await one.until(() => one.partitions.length === 1);
    one.ack(1n, [{ topic: name, partition: 0, nextOffset: 99n }]);
    await one.until(() => one.all('ackResult').length === 1);
    expect(one.all('ackResult')[0]?.ackResult.failures).toHaveLength(1);
    const request = CommitOffsetsRequest.fromPartial({
      group: 'beyond',
      offsets: [{ topic: name, partition: 0, nextOffset: 0n }],
    });
    await expect(callUnary(pool.client(address), GroupServiceService.commitOffsets, request)).rejects.toMatchObject({
      reason: 'GROUP_NOT_EMPTY',
    });
  });
});

describe('groups from outside', () => {
  it('are committed to, listed, described with their lag, and deleted', async () => {
    const name = topic(1);
    cluster.produce(name, 0, ['a', 'b', 'c']);
    const client = pool.client(address);
    const request = CommitOffsetsRequest.fromPartial({
      group: 'outside',
      offsets: [{ topic: name, partition: 0, nextOffset: 1n, metadata: 'm' }],
    });
    expect(await callUnary(client, GroupServiceService.commitOffsets, request)).toEqual({ failures: [] });
    const described = await describeGroup('outside');
    expect(described.partitions[0]).toMatchObject({ nextOffset: 1n, highWatermark: 3n, lagRecords: 2n });
    expect(described).toMatchObject({
      ownerAddress: address,
      assignor: 'sticky',
      summary: { state: GroupState.GROUP_STATE_EMPTY },
    });
    const seen: string[] = [];
    for (let pageToken = ''; ;) {
      const page = await callUnary(client, GroupServiceService.listGroups, { pageSize: 1, pageToken });
      seen.push(...page.groups.map((group) => group.group));
      pageToken = page.nextPageToken;
      if (pageToken === '') break;
    }
    expect(seen).toContain('outside');
    expect(seen).toEqual([...new Set(seen)].sort());
    await callUnary(client, GroupServiceService.deleteGroup, { group: 'outside' });
    await expect(describeGroup('outside')).rejects.toMatchObject({ reason: 'GROUP_NOT_FOUND' });
    await expect(
      callUnary(client, GroupServiceService.listGroups, { pageSize: 1, pageToken: '%' }),
    ).rejects.toMatchObject({ reason: 'INVALID_PAGE_TOKEN' });
  });
});

describe('ReadRecords', () => {
  const read = (request: Parameters<typeof ReadRecordsRequest.fromPartial>[0]) =>
    callUnary(pool.client(address), GroupServiceService.readRecords, ReadRecordsRequest.fromPartial(request), {
      deadlineMs: 8000,
    });

  it('reads up to a bound and says where to go on', async () => {
    const name = topic(1);
    cluster.produce(name, 0, ['a', 'b', 'c']);
    cluster.produce(name, 0, ['d']);
    const first = await read({ topic: name, maxRecords: 2 });
    expect(first).toMatchObject({ nextOffset: 2n, highWatermark: 4n, endReached: false });
    const rest = await read({ topic: name, start: { position: { $case: 'offset', offset: 2n } }, endOffset: 3n });
    expect(rest.records.map((r) => r.offset)).toEqual([2n]);
    expect(rest.endReached).toBe(true);
    const all = await read({ topic: name, maxBytes: 1 });
    expect(all.records).toHaveLength(1);
  });

  it('waits for a first record, and not longer than asked', async () => {
    const name = topic(1);
    const waiting = read({ topic: name, maxWaitMs: 5000 });
    setTimeout(() => cluster.produce(name, 0, ['late']), 100);
    expect((await waiting).records).toHaveLength(1);
    const empty = await read({ topic: name, start: { position: { $case: 'latest', latest: true } }, maxWaitMs: 50 });
    expect(empty.records).toEqual([]);
  });

  it.each([
    ['an unknown topic', { topic: 'nowhere' }, 'TOPIC_NOT_FOUND'],
    ['an unknown partition', { partition: 9 }, 'PARTITION_NOT_FOUND'],
    ['a negative count', { maxRecords: -1 }, 'INVALID_REQUEST'],
    ['too many bytes', { maxBytes: 9_000_000 }, 'INVALID_REQUEST'],
    [
      'an offset out of range',
      { start: { position: { $case: 'offset' as const, offset: 99n } } },
      'OFFSET_OUT_OF_RANGE',
    ],
  ])('refuses %s', async (_, request, reason) => {
    await expect(read({ topic: topic(1), ...request })).rejects.toMatchObject({ reason });
  });
});

describe('the owner of a shard', () => {
  it.each(['stored in doubt', 'refused in doubt'] as const)(
    'sends an append again that was %s, under its identity and its claim, and streams live on',
    async (fault) => {
      const name = topic(1);
      cluster.produce(name, 0, ['a', 'b']);
      const group = `doubt-${fault.split(' ')[0]}`;
      const one = member(group, [name]);
      await one.until(() => one.values.length === 2);
      const before = cluster.shardLog;
      cluster.appendFaults.push(fault);
      one.ack(1n, [{ topic: name, partition: 0, nextOffset: 2n }]);
      await one.until(() => one.all('ackResult').length === 1);
      expect(one.all('ackResult')[0]?.ackResult.error).toBeUndefined();
      expect(await committed(group)).toEqual({ 0: 2n });
      expect(cluster.shardLog).toEqual({ claimEpoch: before.claimEpoch, batchCount: before.batchCount + 1 });
      cluster.produce(name, 0, ['c']);
      await one.until(() => one.values.length === 3);
    },
  );

  it('drains: members are told, come back to the next owner with their ids, and keep partitions and commits', async () => {
    const name = topic(2);
    cluster.produce(name, 0, ['a', 'b']);
    // A connection of its own: grpc-js gives up one that got GOAWAY at its next keepalive ping.
    const ownPool = new ChannelPool();
    const one = new TestMember(ownPool, address, { group: 'drain', subscription: { topics: [name] }, credit: PLENTY });
    await one.until(() => one.values.length === 2);
    one.ack(1n, [{ topic: name, partition: 0, nextOffset: 1n }]);
    await one.until(() => one.all('ackResult').length === 1);
    const epochs = one.assignment?.partitions.map((held) => held.assignmentEpoch);
    const before = service;
    const drained = before.drain();
    await one.until(() => one.all('draining').length === 1);
    expect((await one.closed)?.reason).toBe('SHUTTING_DOWN');
    await drained;
    await before.close();
    ownPool.close();
    service = await startService();
    const back = member('drain', [name], { memberId: one.memberId, memberEpoch: one.memberEpoch });
    await back.until(() => back.values.length === 1);
    expect(back.values).toEqual(['b']);
    expect(back.assignment?.partitions.map((held) => held.assignmentEpoch)).toEqual(epochs);
  });
});
