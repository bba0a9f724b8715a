/** What every metadata store must do. Run from a spec for each implementation, on a directory that starts empty. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DirectoryContent, LeaseToken, MetadataStore } from './metadata-store.ts';
import type { PartitionEntry } from './partition-entry.ts';
import { EMPTY, brokerEntry, partitionEntry, refusal, topicEntry } from './samples.conformance.ts';

/** One shared directory and the ways to open and to harm it. */
export interface StoreHarness {
  open(clusterId: string): MetadataStore;
  wipe(): Promise<void>;
  /** Copies the directory; the returned function brings the copy back. */
  backUp(): Promise<() => Promise<void>>;
}

/** As text, in an order of their own: the directory keeps none. */
function sorted(items: readonly object[] | undefined): string[] {
  return (items ?? []).map((item) => JSON.stringify(item)).sort();
}

const CLUSTER_ID = '0c9e3f5a-0000-4000-8000-000000000001';
const LEASE_MS = 60_000;

export function storeConformance(harness: () => StoreHarness): void {
  let store: MetadataStore;
  const opened: MetadataStore[] = [];

  async function open(clusterId = CLUSTER_ID): Promise<MetadataStore> {
    const another = harness().open(clusterId);
    opened.push(another);
    await another.connect();
    return another;
  }
  async function lease(of: MetadataStore, ttlMs = LEASE_MS, run: string = randomUUID()): Promise<LeaseToken> {
    const attempt = await of.leaseAcquire({ run, url: `http://${run}`, ttlMs });
    if ('heldBy' in attempt) throw new Error('the lease is held');
    return attempt.token;
  }
  async function build(content: DirectoryContent = EMPTY): Promise<{ token: LeaseToken; generation: string }> {
    const token = await lease(store);
    const generation = randomUUID();
    const request = { expectedGeneration: undefined, newGeneration: generation, content };
    expect(await store.rebuild(token, request)).toMatchObject({ status: 'written' });
    return { token, generation };
  }
  async function publish(token: LeaseToken, topicId: string, entry: PartitionEntry, partition = 0): Promise<string> {
    const published = await store.publishPartitions(token, [{ topicId, partition, entry }]);
    return published.status === 'rolled_back' ? published.status : (published.outcomes[0] ?? 'none');
  }

  beforeEach(async () => {
    await harness().wipe();
    store = await open();
  });
  afterEach(async () => {
    for (const each of opened.splice(0)) await each.close();
  });

  describe('the lease', () => {
    it('is one coordinator\u2019s until it is given back, and the others learn whose', async () => {
      const other = await open();
      const attempt = await store.leaseAcquire({ run: 'run-a', url: 'http://a', ttlMs: LEASE_MS });
      const token = 'token' in attempt ? attempt.token : undefined;
      expect(token).toEqual({ run: 'run-a', number: 1 });
      expect(await other.leaseAcquire({ run: 'run-b', url: 'http://b', ttlMs: LEASE_MS })).toMatchObject({
        heldBy: { run: 'run-a', url: 'http://a', number: 1 },
      });
      const holder = await other.leaseHolder();
      expect(holder).toMatchObject({ run: 'run-a', url: 'http://a', number: 1 });
      expect(holder?.remainingMs).toBeGreaterThan(LEASE_MS / 2);
      await store.leaseRelease({ run: 'run-a', number: 1 });
      expect(await other.leaseHolder()).toBeUndefined();
      expect(await lease(other, LEASE_MS, 'run-b')).toEqual({ run: 'run-b', number: 2 });
    });

    it('gives the same run the same token again, since the first answer may have been lost', async () => {
      const first = await lease(store, LEASE_MS, 'run-a');
      expect(await lease(store, LEASE_MS, 'run-a')).toEqual(first);
    });

    it('ends by itself, and its old holder can neither renew nor write nor release it', async () => {
      const { token } = await build();
      await store.leaseRelease(token);
      const brief = await lease(store, 30);
      await sleep(60);
      expect(await store.leaseHolder()).toBeUndefined();
      expect((await refusal(store.leaseRenew(brief))).reason).toBe('NOT_ACTIVE_COORDINATOR');
      const next = await lease(await open());
      const refused = await refusal(store.putBroker(brief, brokerEntry(1)));
      expect(refused).toMatchObject({
        reason: 'NOT_ACTIVE_COORDINATOR',
        metadata: { holder_url: `http://${next.run}` },
      });
      await store.leaseRelease(brief);
      expect(await store.leaseHolder()).toMatchObject({ number: next.number });
    });

    it('lasts longer when it is renewed', async () => {
      const token = await lease(store, 300);
      await sleep(200);
      expect(await store.leaseRenew(token)).toMatchObject({ status: 'written' });
      await sleep(200);
      expect(await store.leaseHolder()).toMatchObject({ number: token.number });
    });

    it('gives the holder a higher number when a wiped count gave it one that was held before', async () => {
      const other = await open();
      const first = await lease(store, LEASE_MS, 'run-a');
      const again = await lease(store, LEASE_MS, 'run-a');
      await store.leaseRelease(again);
      const second = await lease(store, LEASE_MS, 'run-a');
      await harness().wipe();
      const low = await lease(other, LEASE_MS, 'run-b');
      expect([first.number, second.number, low.number]).toEqual([1, 2, 1]);
      const attempt = await store.leaseAcquire({ run: 'run-a', url: 'http://a', ttlMs: LEASE_MS });
      expect(attempt).toMatchObject({ heldBy: { run: 'run-b', number: 3 } });
      expect(await refusal(other.leaseRenew(low))).toEqual({
        reason: 'NOT_ACTIVE_COORDINATOR',
        metadata: { holder_url: 'http://run-b' },
      });
      expect(await lease(other, LEASE_MS, 'run-b')).toEqual({ run: 'run-b', number: 3 });
    });

    it('never gives a token again that another was seen to hold, even by a wiped count', async () => {
      const other = await open();
      const first = await lease(store);
      await other.leaseAcquire({ run: 'run-b', url: 'http://b', ttlMs: LEASE_MS });
      await harness().wipe();
      expect((await lease(other)).number).toBe(first.number + 1);
    });

    it('never gives a token again that this store has held, even by a wiped count', async () => {
      const first = await lease(store);
      await harness().wipe();
      expect((await lease(store)).number).toBe(first.number + 1);
    });
  });

  describe('writing', () => {
    it('is refused while there is no finished build', async () => {
      const token = await lease(store);
      expect(await store.putBroker(token, brokerEntry(1))).toMatchObject({
        status: 'rolled_back',
        generation: undefined,
      });
    });

    it('is read back whole', async () => {
      const { token, generation } = await build();
      const topic = topicEntry('orders');
      await store.putBroker(token, brokerEntry(1));
      await store.createTopic(token, topic);
      await store.activateTopic(token, topic.topicId);
      expect(await publish(token, topic.topicId, partitionEntry(1), 3)).toBe('published');
      await store.putGroups(token, [{ shard: 0, value: '{"instance":"g1"}' }]);
      const snapshot = await (await open()).readAll();
      expect(snapshot).toMatchObject({
        meta: { clusterId: CLUSTER_ID, generation },
        rolledBack: false,
        brokers: [brokerEntry(1)],
        topics: [{ ...topic, state: 'active' }],
        partitions: [{ topicId: topic.topicId, partition: 3, entry: partitionEntry(1) }],
        tombstones: [],
        groups: [{ shard: 0, value: '{"instance":"g1"}' }],
        moves: [],
      });
    });

    it('adds one to the revision, and nothing when it is a repeat', async () => {
      const { token } = await build();
      const topic = topicEntry('orders');
      const first = await store.createTopic(token, topic);
      if (first.status !== 'written') throw new Error('not written');
      expect(await store.createTopic(token, topic)).toEqual({ status: 'unchanged', revision: first.revision });
      const revision = first.revision + 1;
      expect(await store.putBroker(token, brokerEntry(1))).toEqual({ status: 'written', revision });
      expect(await store.putBroker(token, brokerEntry(1))).toEqual({ status: 'unchanged', revision });
      expect(await store.putGroups(token, [])).toEqual({ status: 'unchanged', revision });
      expect(await store.readMeta()).toMatchObject({ status: 'current', meta: { revision } });
    });

    it('keeps the moves of replicas that were asked for, until they are removed', async () => {
      const { token } = await build();
      const [first, second] = [
        { reassignmentId: randomUUID(), value: '{"a":1}' },
        { reassignmentId: randomUUID(), value: '{}' },
      ];
      expect(await store.putMoves(token, [first, second])).toMatchObject({ status: 'written' });
      expect(await store.putMoves(token, [second])).toMatchObject({ status: 'unchanged' });
      const changed = { ...first, value: '{"a":2}' };
      expect(await store.putMoves(token, [changed, { ...second, value: '' }])).toMatchObject({ status: 'written' });
      expect(await store.putMoves(token, [{ ...second, value: '' }])).toMatchObject({ status: 'unchanged' });
      expect((await store.readAll())?.moves).toEqual([changed]);
      await harness().wipe();
      expect(await store.putMoves(token, [first])).toMatchObject({ status: 'rolled_back' });
    });

    it('takes a topic name once, and names the topic that has it', async () => {
      const { token } = await build();
      const topic = topicEntry('__proto__');
      await store.createTopic(token, topic);
      const refused = await refusal(store.createTopic(token, topicEntry('__proto__')));
      expect(refused).toEqual({
        reason: 'TOPIC_ALREADY_EXISTS',
        metadata: { topic: '__proto__', topic_id: topic.topicId },
      });
      expect((await store.readAll())?.topics.map(({ name }) => name)).toEqual(['__proto__']);
    });

    it('lets a topic change its name, and frees the one that it had', async () => {
      const { token } = await build();
      const topic = topicEntry('orders');
      await store.createTopic(token, topic);
      const parked = { ...topic, name: 'orders~conflict' };
      expect(await store.createTopic(token, parked)).toMatchObject({ status: 'written' });
      expect(await store.createTopic(token, parked)).toMatchObject({ status: 'unchanged' });
      expect(await store.createTopic(token, topicEntry('orders'))).toMatchObject({ status: 'written' });
      const names = (await store.readAll())?.topics.map(({ name }) => name).sort();
      expect(names).toEqual(['orders', 'orders~conflict']);
    });

    it('activates a topic once, and none that is not there', async () => {
      const { token } = await build();
      const topic = topicEntry('orders');
      await store.createTopic(token, topic);
      expect(await store.activateTopic(token, topic.topicId)).toMatchObject({ status: 'written' });
      expect(await store.activateTopic(token, topic.topicId)).toMatchObject({ status: 'unchanged' });
      expect((await refusal(store.activateTopic(token, randomUUID()))).reason).toBe('TOPIC_NOT_FOUND');
    });

    it('changes a topic over an older version only, and leaves its name and state', async () => {
      const { token } = await build();
      const topic = topicEntry('orders');
      await store.createTopic(token, topic);
      await store.activateTopic(token, topic.topicId);
      const changed = { ...topic, version: 10, minInSync: 2, flush: 'os', settings: '{"retentionMs":"1"}' } as const;
      expect(await store.updateTopic(token, changed)).toMatchObject({ status: 'written' });
      expect(await store.updateTopic(token, changed)).toMatchObject({ status: 'unchanged' });
      expect(await store.updateTopic(token, { ...topic, version: 9 })).toMatchObject({ status: 'unchanged' });
      const renamed = { ...changed, version: 11, name: 'other', state: 'deleting' } as const;
      expect(await store.updateTopic(token, renamed)).toMatchObject({ status: 'written' });
      expect((await store.readAll())?.topics).toEqual([{ ...changed, version: 11, state: 'active' }]);
    });

    it('changes no topic that is not there, or no longer', async () => {
      const { token } = await build();
      const topic = topicEntry('orders');
      const changed = { ...topic, version: 2 };
      expect((await refusal(store.updateTopic(token, changed))).reason).toBe('TOPIC_NOT_FOUND');
      await store.createTopic(token, topic);
      await store.deleteTopic(token, { topicId: topic.topicId, name: 'orders', deletedMs: 5 });
      expect((await refusal(store.updateTopic(token, changed))).reason).toBe('TOPIC_NOT_FOUND');
      expect((await store.readAll())?.topics).toEqual([]);
    });

    it('remembers a deleted topic: its id is never taken again, its name is free', async () => {
      const { token } = await build();
      const topic = topicEntry('orders');
      await store.createTopic(token, topic);
      await publish(token, topic.topicId, partitionEntry(1));
      const tombstone = { topicId: topic.topicId, name: 'orders', deletedMs: 5 };
      expect(await store.deleteTopic(token, tombstone)).toMatchObject({ status: 'written' });
      expect(await store.deleteTopic(token, tombstone)).toMatchObject({ status: 'unchanged' });
      expect((await refusal(store.createTopic(token, topic))).reason).toBe('TOPIC_NOT_FOUND');
      expect(await publish(token, topic.topicId, partitionEntry(2))).toBe('no_topic');
      const again = topicEntry('orders');
      expect(await store.createTopic(token, again)).toMatchObject({ status: 'written' });
      await store.deleteTopic(token, { ...tombstone, topicId: randomUUID() });
      const snapshot = await store.readAll();
      expect(snapshot?.topics.map(({ topicId }) => topicId)).toEqual([again.topicId]);
      expect(snapshot?.partitions).toEqual([]);
      expect(snapshot?.tombstones).toContainEqual(tombstone);
    });
  });

  describe('publishing who owns a partition', () => {
    it('takes only what is lexicographically above (epoch, config version, isr version)', async () => {
      const { token } = await build();
      const { topicId } = topicEntry('orders');
      await store.createTopic(token, topicEntry('orders', topicId));
      expect(await publish(token, topicId, partitionEntry(3, 5, 5))).toBe('published');
      expect(await publish(token, topicId, partitionEntry(2, 9, 9))).toBe('stale');
      expect(await publish(token, topicId, partitionEntry(3, 4, 9))).toBe('stale');
      expect(await publish(token, topicId, partitionEntry(3, 5, 4))).toBe('stale');
      expect(await publish(token, topicId, partitionEntry(3, 5, 6))).toBe('published');
      expect(await publish(token, topicId, partitionEntry(3, 6, 1))).toBe('published');
      expect(await publish(token, topicId, partitionEntry(10, 1, 1))).toBe('published');
      expect((await store.readAll())?.partitions[0]?.entry).toEqual(partitionEntry(10, 1, 1));
    });

    it('is idempotent, refuses other owners under one version, and lets the status change', async () => {
      const { token } = await build();
      const { topicId } = topicEntry('orders');
      await store.createTopic(token, topicEntry('orders', topicId));
      const entry = partitionEntry(1);
      expect(await publish(token, topicId, entry)).toBe('published');
      expect(await publish(token, topicId, entry)).toBe('unchanged');
      expect(await publish(token, topicId, { ...entry, updatedMs: 9 })).toBe('unchanged');
      expect(await publish(token, topicId, { ...entry, leader: 2 })).toBe('stale');
      expect(await publish(token, topicId, { ...entry, isr: [1, 2] })).toBe('stale');
      expect(await publish(token, topicId, { ...entry, status: 'offline' })).toBe('published');
      expect((await store.readAll())?.partitions[0]?.entry.status).toBe('offline');
    });

    it('answers for each partition of a batch, across topics and chunks', async () => {
      const { token } = await build();
      const a = topicEntry('a');
      const b = topicEntry('b');
      await store.createTopic(token, a);
      await store.createTopic(token, b);
      const publications = Array.from({ length: 1200 }, (_, index) => ({
        topicId: index % 3 === 0 ? a.topicId : b.topicId,
        partition: index,
        entry: partitionEntry(index + 1),
      }));
      const unknown = { topicId: randomUUID(), partition: 0, entry: partitionEntry(1) };
      const published = await store.publishPartitions(token, [unknown, ...publications]);
      if (published.status === 'rolled_back') throw new Error('rolled back');
      expect(published.outcomes).toEqual(['no_topic', ...publications.map(() => 'published')]);
      const repeated = await store.publishPartitions(token, publications);
      expect(repeated).toEqual({ status: 'published', outcomes: publications.map(() => 'unchanged') });
      expect((await store.readAll())?.partitions).toHaveLength(1200);
      expect(await store.publishPartitions(token, [])).toEqual({ status: 'published', outcomes: [] });
    });
  });

  describe('losing the directory', () => {
    it('reads as none after a wipe, refuses writes, and is written again from memory', async () => {
      const topic = topicEntry('orders');
      const { token } = await build({ ...EMPTY, topics: [topic] });
      const before = await store.readAll();
      if (before === undefined) throw new Error('nothing read');
      await harness().wipe();
      expect(await store.readMeta()).toEqual({ status: 'empty' });
      expect(await store.readAll()).toBeUndefined();
      expect(await store.putBroker(token, brokerEntry(1))).toEqual({
        status: 'rolled_back',
        generation: undefined,
        revision: 0,
      });
      const again = await lease(store);
      expect(again.number).toBeGreaterThan(token.number);
      const request = { expectedGeneration: undefined, newGeneration: randomUUID(), content: before };
      expect(await store.rebuild(again, request)).toMatchObject({ status: 'written' });
      expect((await store.readAll())?.topics).toEqual([topic]);
      expect(await store.putBroker(again, brokerEntry(1))).toMatchObject({ status: 'written' });
    });

    it('tells an older copy of the same generation, and replaces it', async () => {
      const { token, generation } = await build();
      const restore = await harness().backUp();
      await store.putBroker(token, brokerEntry(1));
      const topic = topicEntry('orders');
      await store.createTopic(token, topic);
      await restore();
      expect(await store.readMeta()).toMatchObject({ status: 'rolled_back', meta: { generation } });
      expect(await store.readAll()).toMatchObject({ rolledBack: true, topics: [] });
      const refused = await store.activateTopic(token, topic.topicId);
      expect(refused).toMatchObject({ status: 'rolled_back', generation });
      const content = { ...EMPTY, brokers: [brokerEntry(1)], topics: [topic] };
      const request = { expectedGeneration: generation, newGeneration: randomUUID(), content };
      expect(await store.rebuild(token, request)).toMatchObject({ status: 'written' });
      expect(await store.readAll()).toMatchObject({ rolledBack: false, topics: [topic], brokers: [brokerEntry(1)] });
      expect(await store.activateTopic(token, topic.topicId)).toMatchObject({ status: 'written' });
    });

    it('gives no lease back that came with a copy: its number is below what this coordinator has had since', async () => {
      await lease(store, LEASE_MS, 'run-a');
      const restore = await harness().backUp();
      await store.leaseRelease(await lease(store, LEASE_MS, 'run-a'));
      const later = await lease(store, LEASE_MS, 'run-a');
      await restore();
      const again = await lease(store, LEASE_MS, 'run-a');
      expect(again.number).toBeGreaterThan(later.number);
      expect(await store.leaseRenew(again)).toMatchObject({ status: 'written' });
    });

    it('tells a copy from before this coordinator had the lease', async () => {
      const { token } = await build();
      const restore = await harness().backUp();
      await store.leaseRelease(token);
      const next = await lease(store);
      await restore();
      expect(await store.leaseRenew(next)).toMatchObject({ status: 'rolled_back' });
      expect(await store.readMeta()).toMatchObject({ status: 'rolled_back' });
    });
  });

  describe('a rebuild', () => {
    it('replaces everything but the memory of deleted topics, however large it is', async () => {
      const old = topicEntry('old');
      const { token, generation } = await build({
        ...EMPTY,
        topics: [old],
        partitions: [{ topicId: old.topicId, partition: 0, entry: partitionEntry(9) }],
        tombstones: [{ topicId: randomUUID(), name: 'gone', deletedMs: 1 }],
        groups: [{ shard: 3, value: '{}' }],
        settings: { version: 1, settings: '{}' },
        moves: [{ reassignmentId: randomUUID(), value: '{}' }],
      });
      const topics = Array.from({ length: 120 }, (_, index) => topicEntry(`topic-${index}`));
      const partitions = topics.flatMap(({ topicId }) =>
        Array.from({ length: 8 }, (_, partition) => ({ topicId, partition, entry: partitionEntry(2) })),
      );
      const tombstones = Array.from({ length: 3 }, (_, index) => ({
        topicId: randomUUID(),
        name: `t${index}`,
        deletedMs: index,
      }));
      const moves = [{ reassignmentId: randomUUID(), value: '{"v":1}' }];
      const content = { ...EMPTY, brokers: [brokerEntry(1), brokerEntry(2)], topics, partitions, tombstones, moves };
      const newGeneration = randomUUID();
      const request = { expectedGeneration: generation, newGeneration, content };
      expect(await store.rebuild(token, request)).toMatchObject({ status: 'written' });
      expect(await store.rebuild(token, request)).toMatchObject({ status: 'unchanged' });
      const read = await store.readAll();
      expect(read?.meta.generation).toBe(newGeneration);
      expect(sorted(read?.topics)).toEqual(sorted(topics));
      expect(sorted(read?.partitions)).toEqual(sorted(partitions));
      expect(sorted(read?.brokers)).toEqual(sorted(content.brokers));
      expect(read?.groups).toEqual([]);
      expect(read?.settings).toBeUndefined();
      expect(read?.moves).toEqual(moves);
      expect(read?.tombstones).toHaveLength(4);
    });

    it('leaves a generation that is not the expected one alone, and needs the lease', async () => {
      const { token, generation } = await build();
      const request = { expectedGeneration: undefined, newGeneration: randomUUID(), content: EMPTY };
      expect(await store.rebuild(token, request)).toMatchObject({ status: 'rolled_back', generation });
      expect(await store.readMeta()).toMatchObject({ status: 'current', meta: { generation } });
      const stranger = { run: 'stranger', number: token.number };
      const refused = await refusal(store.rebuild(stranger, { ...request, expectedGeneration: generation }));
      expect(refused.reason).toBe('NOT_ACTIVE_COORDINATOR');
    });
  });

  describe('another cluster', () => {
    it('is refused by reads, by the lease and by writes', async () => {
      const { token } = await build();
      const foreign = await open('0c9e3f5a-0000-4000-8000-000000000002');
      const request = { run: 'x', url: 'http://x', ttlMs: LEASE_MS };
      for (const work of [foreign.readAll(), foreign.leaseAcquire(request), foreign.putBroker(token, brokerEntry(1))]) {
        expect((await refusal(work)).reason).toBe('WRONG_CLUSTER');
      }
    });
  });

  it('is down before it connects and after it closes, tells so, and refuses calls', async () => {
    const other = harness().open(CLUSTER_ID);
    const states: string[] = [];
    const end = other.onStateChange((state) => states.push(state));
    expect(other.state).toBe('down');
    expect((await refusal(other.readAll())).reason).toBe('METADATA_STORE_UNAVAILABLE');
    await other.connect();
    expect(other.state).toBe('up');
    await other.close();
    await sleep(20);
    expect((await refusal(other.readAll())).reason).toBe('METADATA_STORE_UNAVAILABLE');
    expect(states).toEqual(['up', 'down']);
    end();
  });
}
