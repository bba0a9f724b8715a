/** Keys of the directory that hold anything: read as far as they make sense, reported, and written over. Against a real redis-server. */
import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { metadataKeys } from './keys.ts';
import type { DirectoryContent, LeaseToken, MetadataStore } from './metadata-store.ts';
import { brokerEntry, partitionEntry, refusal, topicEntry } from './samples.conformance.ts';
import { CLUSTER_ID, hasRedis, OwnRedis } from './testing/own-redis.ts';

const keys = metadataKeys('test');
const TTL_MS = 60_000;
const SEED_COUNT = process.env['PARTITA_TEST_LONG'] === 'on' ? 3000 : 60;

describe.runIf(hasRedis)('a damaged directory in Redis', () => {
  const topic = topicEntry('orders');
  const gone = { topicId: randomUUID(), name: 'gone', deletedMs: 5 };
  const content: DirectoryContent = {
    brokers: [brokerEntry(1)],
    topics: [topic],
    partitions: [0, 1].map((partition) => ({ topicId: topic.topicId, partition, entry: partitionEntry(4) })),
    tombstones: [gone],
    groups: [{ shard: 2, value: '{}' }],
    moves: [{ reassignmentId: randomUUID(), value: '{}' }],
    settings: { version: 3, settings: '{"v":1}' },
  };
  const names = [
    ...[
      keys.meta,
      keys.lease,
      keys.leaseSeq,
      keys.brokers,
      keys.topics,
      keys.groups,
      keys.settings,
      keys.moves,
      keys.ops,
    ],
    ...[keys.topic(topic.topicId), keys.part(topic.topicId), keys.tomb(gone.topicId), keys.tomb('x')],
  ];
  let redis: OwnRedis;
  let raw: OwnRedis['raw'];
  let store: MetadataStore;
  let token: LeaseToken;
  let generation: string;

  const lease = async (of: MetadataStore, run: string): Promise<LeaseToken> => {
    const attempt = await of.leaseAcquire({ run, url: `http://${run}`, ttlMs: TTL_MS });
    if ('heldBy' in attempt) throw new Error(`held by ${JSON.stringify(attempt.heldBy)}`);
    return attempt.token;
  };

  beforeAll(async () => {
    redis = await OwnRedis.start();
    raw = redis.raw;
  });
  afterAll(() => redis.dispose());
  beforeEach(async () => {
    await raw.flushall();
    store = redis.open();
    await store.connect();
    token = await lease(store, 'run-a');
    generation = randomUUID();
    await store.rebuild(token, { expectedGeneration: undefined, newGeneration: generation, content });
  });
  afterEach(() => store.close());

  const publish = (of: MetadataStore, by: LeaseToken, epoch: number): Promise<unknown> =>
    of.publishPartitions(by, [{ topicId: topic.topicId, partition: 0, entry: partitionEntry(epoch) }]);

  /** What a coordinator does with a directory that is not its own any more: the lease, then all of it anew. */
  const writtenAnew = async (of: MetadataStore, run: string): Promise<LeaseToken> => {
    const next = await lease(of, run);
    const reading = await of.readMeta();
    const expectedGeneration = reading.status === 'empty' ? undefined : reading.meta.generation;
    const request = { expectedGeneration, newGeneration: randomUUID(), content };
    expect(await of.rebuild(next, request)).toMatchObject({ status: 'written' });
    expect(await of.readAll()).toMatchObject({ rolledBack: false, faults: [], topics: [topic], tombstones: [gone] });
    expect(await of.leaseRenew(next)).toMatchObject({ status: 'written' });
    expect(await publish(of, next, 5)).toEqual({ status: 'published', outcomes: ['published'] });
    expect(await of.putBroker(next, brokerEntry(2))).toMatchObject({ status: 'written' });
    return next;
  };

  it.each([
    ['a partition that is no JSON', () => raw.hset(keys.part(topic.topicId), '0', 'garbage')],
    ['a partition without an epoch', () => raw.hset(keys.part(topic.topicId), '0', '{"leader":1}')],
    ['a partition whose number is none', () => raw.hset(keys.part(topic.topicId), 'x', '{}')],
    [
      'a partition of an epoch that nobody counted to',
      () => raw.hset(keys.part(topic.topicId), '0', JSON.stringify(partitionEntry(2 ** 31))),
    ],
    ['a broker that is a list', () => raw.hset(keys.brokers, '1', '[]')],
    ['a topic in an unknown state', () => raw.hset(keys.topic(topic.topicId), 'state', 'dreaming')],
    [
      'a topic that is a list',
      () => raw.pipeline().del(keys.topic(topic.topicId)).lpush(keys.topic(topic.topicId), 'x').exec(),
    ],
    ['a name without its topic', () => raw.hset(keys.topics, 'ghost', randomUUID())],
    ['a name of what is no id', () => raw.hset(keys.topics, 'ghost', '*')],
    ['a revision that is no number', () => raw.hset(keys.meta, 'revision', 'many')],
    ['a revision below zero', () => raw.hset(keys.meta, 'revision', '-4')],
    ['a revision that cannot be counted on from', () => raw.hset(keys.meta, 'revision', '9223372036854775807')],
    ['a schema that is none', () => raw.hset(keys.meta, 'schema', '')],
    ['a tombstone that is no JSON', () => raw.set(keys.tomb(randomUUID()), '{')],
    ['a tombstone that is a hash', () => raw.hset(keys.tomb(randomUUID()), 'a', 'b')],
    ['a hash that is a string', () => raw.set(keys.groups, 'text')],
    ['a lease count that is no number', () => raw.set(keys.leaseSeq, 'x')],
  ])('is told from a whole one: %s', async (_what, spoil) => {
    await spoil();
    const fresh = redis.open();
    await fresh.connect();
    const snapshot = await fresh.readAll();
    expect(snapshot?.faults).not.toEqual([]);
    await fresh.close();
    await writtenAnew(store, 'run-a');
  });

  it.each([
    ['its generation is no UUID', () => raw.hset(keys.meta, 'generation', Buffer.from([0xff, 0xfe, 0x00]))],
    ['its cluster is none', () => raw.hset(keys.meta, 'cluster_id', 'garbage')],
    ['its cluster is missing', () => raw.hdel(keys.meta, 'cluster_id')],
    ['what holds it together is a list', () => raw.pipeline().del(keys.meta).lpush(keys.meta, 'x').exec()],
  ])('is none when %s', async (_what, spoil) => {
    await spoil();
    expect(await store.readMeta()).toEqual({ status: 'empty' });
    expect(await store.readAll()).toBeUndefined();
    expect(await publish(store, token, 5)).toMatchObject({ status: 'rolled_back', generation: undefined });
    await writtenAnew(store, 'run-a');
  });

  it('gives what can be read, whatever stands beside it', async () => {
    await raw.hset(keys.part(topic.topicId), '0', 'garbage');
    await raw.set(keys.brokers, 'text');
    const snapshot = await store.readAll();
    expect(snapshot).toMatchObject({ topics: [topic], brokers: [], tombstones: [gone], rolledBack: false });
    expect(snapshot?.partitions).toEqual([content.partitions[1]]);
    expect(snapshot?.faults).toContain(`${keys.part(topic.topicId)} 0: not JSON`);
    expect(snapshot?.faults).toContainEqual(expect.stringContaining('keys of another type'));
  });

  it('is reported by a write that meets it', async () => {
    await raw.set(keys.brokers, 'text');
    const refused = await refusal(store.putBroker(token, brokerEntry(1)));
    expect(refused).toMatchObject({
      reason: 'METADATA_STORE_UNAVAILABLE',
      metadata: { fault: expect.any(String) as string },
    });
  });

  it('holds up no audit entry: a stream that takes none begins anew', async () => {
    await raw.del(keys.ops);
    await raw.set(keys.ops, 'text');
    expect(await store.putBroker(token, brokerEntry(3))).toMatchObject({ status: 'written' });
    await raw.xadd(keys.ops, '18446744073709551615-18446744073709551615', 'op', 'last');
    expect(await store.putBroker(token, brokerEntry(4))).toMatchObject({ status: 'written' });
    expect(await raw.xlen(keys.ops)).toBe(1);
  });

  describe('its lease', () => {
    it.each([
      ['is a text', () => raw.set(keys.lease, 'text')],
      ['names nobody', () => raw.pipeline().del(keys.lease).hset(keys.lease, 'url', 'x').exec()],
      ['has a number that is none', () => raw.hset(keys.lease, 'token', '-1', 'run', 'other')],
      ['has a number beyond all', () => raw.hset(keys.lease, 'token', '9007199254740993', 'run', 'other')],
      ['has no time to last', () => raw.hdel(keys.lease, 'ttl_ms')],
      ['lasts for no number of milliseconds', () => raw.hset(keys.lease, 'ttl_ms', 'x')],
    ])('is taken anew when it %s', async (_what, spoil) => {
      await spoil();
      const renewed = await store.leaseRenew(token).catch((error: unknown) => error);
      expect(renewed).toMatchObject({ reason: 'NOT_ACTIVE_COORDINATOR' });
      const next = await lease(store, 'run-a');
      expect(await store.leaseRenew(next)).toMatchObject({ status: 'written' });
      expect(await publish(store, next, 5)).toEqual({ status: 'published', outcomes: ['published'] });
    });

    it('ends by itself also when somebody made it last for ever, but not for its holder', async () => {
      const other = redis.open();
      await other.connect();
      for (const forEver of [() => raw.persist(keys.lease), () => raw.pexpire(keys.lease, 10 ** 12)]) {
        await forEver();
        const attempt = await other.leaseAcquire({ run: 'run-b', url: 'http://b', ttlMs: 300 });
        expect(attempt).toMatchObject({ heldBy: { run: 'run-a', remainingMs: 300 } });
        expect(await store.leaseRenew(token)).toMatchObject({ status: 'written' });
      }
      await raw.persist(keys.lease);
      await other.leaseAcquire({ run: 'run-b', url: 'http://b', ttlMs: 50 });
      await expect
        .poll(() => other.leaseAcquire({ run: 'run-b', url: 'http://b', ttlMs: TTL_MS }))
        .toHaveProperty('token');
      await other.close();
    });

    it.each([['x'], ['-5'], ['1e300'], ['9007199254740992'], ['99999999999999999999'], ['0'], ['']])(
      'is given under a higher number when the count is "%s"',
      async (count) => {
        await raw.set(keys.leaseSeq, count);
        expect(await store.leaseRenew(token)).toMatchObject({ status: 'rolled_back' });
        await raw.del(keys.lease);
        const next = await lease(store, 'run-a');
        expect(next.number).toBe(token.number + 1);
        expect(await store.leaseRenew(next)).toMatchObject({ status: 'written' });
      },
    );
  });

  it(
    `is never served, and is written over by who holds the lease: ${SEED_COUNT} kinds of garbage`,
    { timeout: 600_000 },
    async () => {
      const bytes = fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array));
      const number = fc.constantFrom(
        '-1',
        '0',
        '007',
        '1e9',
        '2147483648',
        '9007199254740992',
        '9223372036854775807',
        'NaN',
      );
      const text = fc.oneof(
        bytes,
        number,
        fc.json({ maxDepth: 2 }),
        fc.constantFrom('', '{', '[]', 'null', '{"epoch":'),
      );
      const damage = fc.record({
        key: fc.constantFrom(...names),
        how: fc.constantFrom('string', 'list', 'set', 'zset', 'stream', 'field', 'cut', 'new field', 'gone'),
        text,
        pick: fc.nat(),
      });
      const story = fc.array(damage, { minLength: 1, maxLength: 4 });
      await fc.assert(
        fc.asyncProperty(story, async (damages) => {
          for (const each of damages) await spoil(each);
          const fresh = redis.open();
          await fresh.connect();
          try {
            for (const of of [store, fresh]) await readsWhatIsWhole(of);
            // A garbled name is another holder until its time is over.
            const mine = await store.leaseAcquire({ run: 'run-a', url: 'http://run-a', ttlMs: TTL_MS });
            if ('heldBy' in mine) await raw.del(keys.lease);
            const next = await writtenAnew(store, 'run-a');
            await store.leaseRelease(next);
            const taken = await writtenAnew(fresh, 'run-b');
            await fresh.leaseRelease(taken);
          } finally {
            await fresh.close();
          }
        }),
        { seed: 9, numRuns: SEED_COUNT },
      );
    },
  );

  const spoil = async (damage: { key: string; how: string; text: string | Buffer; pick: number }): Promise<void> => {
    const { key, how, text, pick } = damage;
    const type = await raw.type(key);
    if (how === 'gone') await raw.del(key);
    else if (['field', 'cut', 'new field'].includes(how)) {
      if (type !== 'hash') {
        await raw.del(key);
        await raw.set(key, text);
        return;
      }
      const fields = await raw.hgetall(key);
      const field = Object.keys(fields).sort()[pick % Object.keys(fields).length] ?? 'x';
      const value = fields[field] ?? '';
      if (how === 'cut') await raw.hset(key, field, value.slice(0, pick % (value.length + 1)));
      else await raw.hset(key, how === 'field' ? field : text, text);
    } else {
      await raw.del(key);
      if (how === 'string') await raw.set(key, text);
      if (how === 'list') await raw.rpush(key, text);
      if (how === 'set') await raw.sadd(key, text);
      if (how === 'zset') await raw.zadd(key, 1, text);
      if (how === 'stream') await raw.xadd(key, '*', 'a', text);
    }
  };

  /** Nothing but what was written, or less; or an error that has a name. */
  const readsWhatIsWhole = async (of: MetadataStore): Promise<void> => {
    const snapshot = await of.readAll().catch((error: unknown) => error);
    if (snapshot instanceof Error) {
      expect(snapshot).toMatchObject({ reason: expect.stringMatching(/UNAVAILABLE|VERSION_NOT_SUPPORTED/) as string });
      return;
    }
    if (snapshot === undefined) return;
    const read = snapshot as DirectoryContent & { faults: readonly string[] };
    for (const { entry } of read.partitions) expect(entry.epoch).toBeLessThanOrEqual(2 ** 30);
    for (const { name } of read.topics) expect(name).toBeTypeOf('string');
    expect(read.brokers.length + read.topics.length).toBeLessThanOrEqual(4);
  };

  it('leaves another cluster alone', async () => {
    const stranger = redis.open('0c9e3f5a-0000-4000-8000-000000000002');
    await stranger.connect();
    expect((await refusal(stranger.readAll())).reason).toBe('WRONG_CLUSTER');
    expect((await refusal(stranger.leaseAcquire({ run: 'x', url: 'x', ttlMs: 5 }))).reason).toBe('WRONG_CLUSTER');
    expect(await raw.hget(keys.meta, 'cluster_id')).toBe(CLUSTER_ID);
    await stranger.close();
  });
});
