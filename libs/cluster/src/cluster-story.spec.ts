/** Commands, records and merging together: what a coordinator knows as brokers come, go and report. */
import { PartitaError } from '@partita/domain';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { ClusterState } from './cluster-state.ts';
import { creationFate } from './topics/creation-fate.ts';
import type { BrokerRegistration, ReplicaReport, TopicDefinition } from './inventory.ts';
import { evenKeyRanges } from './topics/key-ranges.ts';
import { planElections } from './elections/leader-election.ts';
import { partitionStatus } from './partition-status.ts';
import { resignedLeaders, reviseLeaders } from './elections/leadership.ts';
import { mergeInventory, mergeStoredPartition, mergeStoredTopic } from './rebuild.ts';
import type { ClusterRecord, Decision } from './records.ts';
import {
  checkBrokerId,
  recordLeader,
  registerBroker,
  repeatReports,
  reportInSync,
  reportReplicas,
  setBrokerStatus,
} from './session-commands.ts';
import { createTopic, deleteTopic, topicEtag, updateTopic, visibleTopic } from './topics/topic-commands.ts';
import type { CreateTopicCommand } from './topics/topic-commands.ts';

let state: ClusterState;
let ids = 0;

beforeEach(() => {
  state = new ClusterState();
  ids = 0;
});

function applyAll(records: readonly ClusterRecord[]): void {
  for (const record of records) state.apply(record);
}

function run<Response>(decision: Decision<Response>): Response {
  applyAll(decision.records);
  return decision.response;
}

function reason(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof PartitaError) return error.reason;
    throw error;
  }
  return 'done';
}

function registration(brokerId: number, more: Partial<BrokerRegistration> = {}): BrokerRegistration {
  return {
    brokerId,
    directoryId: `dir ${brokerId}`,
    incarnation: 1n,
    address: `host:${brokerId}`,
    peerAddress: `peer:${brokerId}`,
    rack: '',
    version: '0.1.0',
    replicas: [],
    topics: [],
    tombstones: [],
    knownBrokerIds: [],
    ...more,
  };
}

function register(brokerId: number, more: Partial<BrokerRegistration> = {}): void {
  const own = registration(brokerId, more);
  applyAll(registerBroker(state, own, 1000));
  mergeInventory(state, own, (record) => state.apply(record));
}

function lose(brokerId: number): void {
  applyAll(setBrokerStatus(state, brokerId, 'down', 0));
  applyAll(reviseLeaders(state));
}

function wanted(name: string, more: Partial<CreateTopicCommand> = {}): CreateTopicCommand {
  return {
    name,
    partitionCount: 2,
    replicationFactor: 1,
    settings: {},
    requestId: '',
    internal: false,
    nowMs: 5,
    newId: () => `id ${(ids += 1)}`,
    ...more,
  };
}

/** Creates a topic whose replicas the brokers have made; returns its id. */
function made(name: string, more: Partial<CreateTopicCommand> = {}): string {
  const response = run(createTopic(state, wanted(name, more)));
  if (response.kind !== 'created') throw new Error('the topic was there');
  response.configs.forEach((config, partition) => {
    for (const { brokerId, replicaId } of config.replicas) {
      applyAll(reportReplicas(state, brokerId, [report(response.topicId, partition, replicaId)]));
    }
  });
  return response.topicId;
}

function report(
  topicId: string,
  partition: number,
  replicaId: string,
  more: Partial<ReplicaReport> = {},
): ReplicaReport {
  return {
    topicId,
    partition,
    replicaId,
    promisedEpoch: 0,
    lastEpoch: 0,
    logEndOffset: 0n,
    highWatermark: 0n,
    logStartOffset: 0n,
    logBytes: 0n,
    suspect: false,
    leadingEpoch: 0,
    followingId: 0,
    configFloor: 0,
    config: undefined,
    ...more,
  };
}

function electAll(): void {
  for (const { topicId, partition, epoch, replicas, config } of planElections(state, () => true)) {
    applyAll(
      recordLeader(state, { topicId, partition, epoch, brokerId: replicas[0]!.brokerId, config, unclean: false }),
    );
  }
}

function definition(topicId: string, name: string, more: Partial<TopicDefinition> = {}): TopicDefinition {
  return {
    topicId,
    name,
    version: 1n,
    ranges: evenKeyRanges(1),
    replicationFactor: 1,
    settings: {},
    createTimeMs: 10,
    requestId: '',
    ...more,
  };
}

describe('creating topics', () => {
  it('is hidden until activated, and has a leader per partition after the elections', () => {
    register(1);
    register(2);
    const topicId = made('orders');
    expect(reason(() => visibleTopic(state, 'orders'))).toBe('TOPIC_NOT_FOUND');
    electAll();
    state.apply({ type: 'topic_activated', topicId });
    const topic = visibleTopic(state, 'orders');
    expect(topic.partitions.map(({ leader, epoch, live }) => [leader, epoch, live])).toEqual([
      [1, 1, true],
      [2, 1, true],
    ]);
    expect(planElections(state, () => true)).toEqual([]);
  });

  it('answers the topic of the same request, refuses the name to another, and needs a broker', () => {
    expect(reason(() => createTopic(state, wanted('orders')))).toBe('NOT_ENOUGH_BROKERS');
    register(1);
    const topicId = made('orders', { requestId: 'r1' });
    expect(createTopic(state, wanted('orders', { requestId: 'r1' })).response).toEqual({ kind: 'existing', topicId });
    expect(reason(() => createTopic(state, wanted('orders', { requestId: 'r2' })))).toBe('TOPIC_ALREADY_EXISTS');
    expect(reason(() => createTopic(state, wanted('orders')))).toBe('TOPIC_ALREADY_EXISTS');
    expect(reason(() => createTopic(state, wanted('x', { requestId: 'r'.repeat(65) })))).toBe('INVALID_REQUEST');
    expect(reason(() => createTopic(state, wanted('x', { replicationFactor: -1 })))).toBe('INVALID_SETTING');
    expect(reason(() => createTopic(state, wanted('x', { replicationFactor: 8 })))).toBe('INVALID_SETTING');
    expect(reason(() => createTopic(state, wanted('x', { replicationFactor: 2 })))).toBe('NOT_ENOUGH_BROKERS');
    expect(createTopic(state, wanted('__groups', { internal: true })).response.kind).toBe('created');
  });

  it('is completed, waited for, or given up after a cut, by what brokers hold', () => {
    register(1);
    register(2);
    const response = run(createTopic(state, wanted('orders')));
    if (response.kind !== 'created') throw new Error('the topic was there');
    const { topicId, configs } = response;
    const topic = () => state.topicById(topicId)!;
    expect(creationFate(state, topic())).toBe('abandon');
    applyAll(reportReplicas(state, 1, [report(topicId, 0, configs[0]!.replicas[0]!.replicaId)]));
    expect(creationFate(state, topic())).toBe('abandon');
    lose(2);
    expect(creationFate(state, topic())).toBe('wait');
    // Somebody may have written under this epoch: never given up from here on.
    state.apply({ type: 'epoch_seen', topicId, partition: 0, epoch: 1 });
    register(2);
    expect(creationFate(state, topic())).toBe('complete');
  });
});

describe('changing and deleting topics', () => {
  it('needs the right etag and live holders, and not a topic of Partita', () => {
    register(1);
    const topicId = made('orders', { partitionCount: 1 });
    const groups = made('__groups', { internal: true });
    for (const id of [topicId, groups]) state.apply({ type: 'topic_activated', topicId: id });
    const change = { name: 'orders', etag: '', settingsAfter: () => ({ segmentBytes: 1 << 20 }) };
    expect(reason(() => updateTopic(state, { ...change, etag: 'old' }))).toBe('ETAG_MISMATCH');
    expect(reason(() => updateTopic(state, { ...change, name: '__groups' }))).toBe('INTERNAL_TOPIC');
    expect(reason(() => updateTopic(state, { ...change, settingsAfter: () => ({ segmentBytes: 1 }) }))).toBe(
      'INVALID_SETTING',
    );
    const etag = topicEtag(visibleTopic(state, 'orders').definition);
    expect(run(updateTopic(state, { ...change, etag })).version).toBe(2n);
    expect(reason(() => updateTopic(state, { ...change, etag }))).toBe('ETAG_MISMATCH');
    lose(1);
    expect(reason(() => deleteTopic(state, { name: 'orders', etag: '', deleteId: 'd', nowMs: 0 }))).toBe(
      'NOT_ENOUGH_BROKERS',
    );
  });

  it('hides a topic at once, and a buried one never comes back', () => {
    register(1);
    const topicId = made('orders', { partitionCount: 1 });
    state.apply({ type: 'topic_activated', topicId });
    const tombstone = run(deleteTopic(state, { name: 'orders', etag: '', deleteId: 'd', nowMs: 9 }));
    expect(reason(() => visibleTopic(state, 'orders'))).toBe('TOPIC_NOT_FOUND');
    expect(planElections(state, () => true)).toEqual([]);
    state.apply({ type: 'topic_buried', tombstone });
    register(2, { topics: [definition(topicId, 'orders')], replicas: [report(topicId, 0, 'r', { leadingEpoch: 3 })] });
    expect(state.topicById(topicId)).toBeUndefined();
    expect(state.topicByName('orders')).toBeUndefined();
  });

  it('lets a repeat join the deletion under way, although its brokers have gone since', () => {
    register(1);
    const topicId = made('orders', { partitionCount: 1 });
    state.apply({ type: 'topic_activated', topicId });
    const command = { name: 'orders', etag: '', deleteId: 'd', nowMs: 9 };
    run(deleteTopic(state, command));
    lose(1);
    expect(run(deleteTopic(state, command))).toMatchObject({ topicId, name: 'orders' });
    expect(state.topicByName('orders')?.life).toBe('deleting');
  });
});

describe('brokers', () => {
  it('keep their id from others while they live, and give way to a later start of the same directory', () => {
    register(1, { incarnation: 4n });
    expect(reason(() => checkBrokerId(state, registration(1, { directoryId: 'other' })))).toBe('INVALID_REQUEST');
    expect(reason(() => checkBrokerId(state, registration(1, { incarnation: 3n })))).toBe('INVALID_REQUEST');
    expect(reason(() => checkBrokerId(state, registration(1, { incarnation: 4n })))).toBe('done');
    expect(reason(() => checkBrokerId(state, registration(1, { incarnation: 5n })))).toBe('done');
    lose(1);
    expect(reason(() => checkBrokerId(state, registration(1, { directoryId: 'other' })))).toBe('done');
  });

  it('take their leaderships along when they go silent, and need a higher epoch after a restart', () => {
    register(1);
    const topicId = made('orders', { partitionCount: 1 });
    electAll();
    const partition = () => state.partition(topicId, 0)!;
    const { replicaId } = partition().config!.replicas[0]!;
    lose(1);
    expect(partitionStatus(state, topicId, partition())).toBe('offline');
    expect(partition()).toMatchObject({ live: false, leader: 1, epoch: 1 });
    register(1, { incarnation: 2n, replicas: [report(topicId, 0, replicaId, { promisedEpoch: 1, lastEpoch: 1 })] });
    expect(partitionStatus(state, topicId, partition())).toBe('electing');
    expect(planElections(state, () => true)[0]?.epoch).toBe(2);
  });

  it('go on leading when only their session broke', () => {
    register(1);
    const topicId = made('orders', { partitionCount: 1 });
    electAll();
    const { replicaId } = state.partition(topicId, 0)!.config!.replicas[0]!;
    register(1, { replicas: [report(topicId, 0, replicaId, { promisedEpoch: 1, lastEpoch: 1, leadingEpoch: 1 })] });
    expect(state.partition(topicId, 0)).toMatchObject({ live: true, epoch: 1, leader: 1 });
  });

  it('with a fresh disk do not hold what the old one held', () => {
    register(1);
    const topicId = made('orders', { partitionCount: 1 });
    const { replicaId } = state.partition(topicId, 0)!.config!.replicas[0]!;
    register(1, { directoryId: 'fresh', replicas: [report(topicId, 0, replicaId)] });
    expect(planElections(state, () => true)).toEqual([]);
  });

  it('are not asked to elect by suspect replicas alone', () => {
    register(1);
    const topicId = made('orders', { partitionCount: 1 });
    const { replicaId } = state.partition(topicId, 0)!.config!.replicas[0]!;
    applyAll(reportReplicas(state, 1, [report(topicId, 0, replicaId, { suspect: true })]));
    expect(planElections(state, () => true)).toEqual([]);
  });

  it('tell in-sync sets of their own epoch only, and that they do not lead any more', () => {
    register(1);
    const topicId = made('orders', { partitionCount: 1 });
    electAll();
    const told = { topicId, partition: 0, epoch: 1, inSync: [1, 2], inSyncVersion: 1 };
    applyAll(reportInSync(state, 2, [{ ...told, inSync: [2] }]));
    applyAll(reportInSync(state, 1, [{ ...told, epoch: 0 }]));
    expect(state.partition(topicId, 0)?.inSync).toEqual([1]);
    applyAll(reportInSync(state, 1, [told]));
    applyAll(reportInSync(state, 1, [{ ...told, inSync: [] }]));
    expect(state.partition(topicId, 0)?.inSync).toEqual([1, 2]);
    expect(resignedLeaders(state, 1)).toEqual([{ topicId, partition: 0, epoch: 1 }]);
    const { replicaId } = state.partition(topicId, 0)!.config!.replicas[0]!;
    applyAll(reportReplicas(state, 1, [report(topicId, 0, replicaId, { leadingEpoch: 1 })]));
    expect(resignedLeaders(state, 1)).toEqual([]);
  });

  it('are waited for when somebody has heard of them', () => {
    register(1, { knownBrokerIds: [1, 2, 3] });
    expect(state.missingBrokerIds()).toEqual([2, 3]);
    register(2);
    lose(1);
    expect(state.missingBrokerIds()).toEqual([1, 3]);
  });
});

describe('rebuilding from inventories', () => {
  it('takes the highest version, the highest epoch, and leaders as they are', () => {
    const config = {
      configVersion: 1,
      replicas: [{ brokerId: 1, directoryId: 'dir 1', replicaId: 'r1' }],
      learners: [],
      minInSyncReplicas: 1,
      flush: 'fsync',
    } as const;
    register(1, {
      topics: [definition('t', 'orders', { version: 3n, settings: { segmentBytes: 1 << 20 } })],
      replicas: [report('t', 0, 'r1', { promisedEpoch: 7, lastEpoch: 6, leadingEpoch: 7, config })],
    });
    register(2, { topics: [definition('t', 'orders', { version: 2n })] });
    expect(state.topicById('t')).toMatchObject({
      life: 'active',
      definition: { version: 3n, settings: { segmentBytes: 1 << 20 } },
    });
    expect(state.partition('t', 0)).toMatchObject({ leader: 1, epoch: 7, epochSeen: 7, live: true, config });
  });

  it('parks the younger of two topics of one name, whoever comes first', () => {
    const older = definition('b', 'orders', { createTimeMs: 1 });
    const younger = definition('a', 'orders', { createTimeMs: 2 });
    for (const order of [
      [older, younger],
      [younger, older],
    ]) {
      state = new ClusterState();
      for (const topic of order) register(order.indexOf(topic) + 1, { topics: [topic] });
      expect(state.topicByName('orders')?.definition.topicId).toBe('b');
      expect(state.topicByName('orders~conflict~a')?.definition).toMatchObject({ topicId: 'a', name: 'orders' });
    }
  });

  it('gives a parked topic its name back when the other one turns out to be deleted', () => {
    const topics = ['b', 'a', 'c'].map((topicId, index) => definition(topicId, 'orders', { createTimeMs: index }));
    register(1, { topics });
    register(2, { tombstones: [{ topicId: 'c', name: '', deleteId: 'd', deleteTimeMs: 4 }] });
    expect(state.topicByName('orders')?.definition.topicId).toBe('b');
    register(2, { tombstones: [{ topicId: 'b', name: '', deleteId: 'd', deleteTimeMs: 4 }] });
    expect([...state.topics()].map(({ name, definition: { topicId } }) => [name, topicId])).toEqual([['orders', 'a']]);
  });

  it('takes for made what only a broker tells of when it has had an epoch, or has all its replicas', () => {
    const replicas = [1, 2].map((brokerId) => ({
      brokerId,
      directoryId: `dir ${brokerId}`,
      replicaId: `r${brokerId}`,
    }));
    const config = { configVersion: 1, replicas, learners: [], minInSyncReplicas: 1, flush: 'fsync' } as const;
    const topic = () => state.topicById('t')!;
    register(1, { topics: [definition('t', 'orders')], replicas: [report('t', 0, 'r1', { config })] });
    expect([topic().life, creationFate(state, topic())]).toEqual(['found', 'wait']);
    expect(reason(() => visibleTopic(state, 'orders'))).toBe('COORDINATOR_UNAVAILABLE');
    // Who has never had the second replica comes; one that others have heard of may yet have it.
    register(2, { knownBrokerIds: [3] });
    expect([creationFate(state, topic()), planElections(state, () => true)]).toEqual(['wait', []]);
    register(3);
    expect(creationFate(state, topic())).toBe('abandon');
    applyAll(reportReplicas(state, 2, [report('t', 0, 'r2', { config })]));
    expect([topic().life, creationFate(state, topic())]).toEqual(['found', 'complete']);
    applyAll(reportReplicas(state, 2, [report('t', 0, 'r2', { config, promisedEpoch: 1 })]));
    expect(visibleTopic(state, 'orders').life).toBe('active');
  });

  it('completes a stored topic that was being created when the directory says that it is active', () => {
    applyAll(mergeStoredTopic(state, { definition: definition('t', 'orders'), life: 'creating' }));
    expect(state.topicById('t')?.life).toBe('creating');
    applyAll(mergeStoredTopic(state, { definition: definition('t', 'orders'), life: 'active' }));
    expect(state.topicById('t')?.life).toBe('active');
  });

  it('believes a stored leader only when its broker says that it leads', () => {
    applyAll(mergeStoredTopic(state, { definition: definition('t', 'orders'), life: 'active' }));
    const config = {
      configVersion: 1,
      replicas: [{ brokerId: 1, directoryId: 'dir 1', replicaId: 'r' }],
      learners: [],
      minInSyncReplicas: 1,
      flush: 'fsync',
    } as const;
    const stored = {
      topicId: 't',
      partition: 0,
      config,
      epoch: 4,
      leader: 1,
      inSync: [1],
      inSyncVersion: 2,
      lossy: false,
    };
    applyAll(mergeStoredPartition(state, stored));
    expect(state.partition('t', 0)).toMatchObject({ epoch: 4, leader: 1, live: false, inSyncVersion: 2 });
    register(1, { replicas: [report('t', 0, 'r', { leadingEpoch: 4 })] });
    expect(state.partition('t', 0)).toMatchObject({ live: true, inSyncVersion: 2 });
    applyAll(mergeStoredPartition(state, { ...stored, epoch: 3 }));
    expect(state.partition('t', 0)?.epoch).toBe(4);
  });

  it('knows a leader whose topic the directory tells of only after its report', () => {
    register(1, { replicas: [report('t', 0, 'r', { leadingEpoch: 4 })] });
    applyAll(mergeStoredTopic(state, { definition: definition('t', 'orders'), life: 'active' }));
    expect(state.partition('t', 0)?.live).toBe(false);
    applyAll(repeatReports(state));
    expect(state.partition('t', 0)).toMatchObject({ live: true, epoch: 4, leader: 1 });
    state.apply({ type: 'leader_lost', topicId: 't', partition: 0 });
    lose(1);
    expect(repeatReports(state)).toEqual([]);
  });

  it('comes to the same picture in whatever order brokers report, and repeats change nothing', () => {
    const topics = [
      definition('t1', 'a', { createTimeMs: 1 }),
      definition('t1', 'a', { createTimeMs: 1, version: 2n }),
      definition('t2', 'a', { createTimeMs: 2 }),
      definition('t3', 'b', { createTimeMs: 3 }),
    ];
    const tombstone = { topicId: 't3', name: '', deleteId: 'd', deleteTimeMs: 4 };
    const inventories = topics.map((topic, index) =>
      registration(index + 1, {
        topics: [topic],
        tombstones: index === 2 ? [tombstone] : [],
        replicas: [report(topic.topicId, 0, `r${index}`, { promisedEpoch: index + 1 })],
      }),
    );
    const picture = () =>
      [...state.topics()]
        .map(({ name, definition: { topicId, version }, partitions }) => ({
          name,
          topicId,
          version,
          seen: partitions[0]?.epochSeen,
        }))
        .sort((a, b) => (a.topicId < b.topicId ? -1 : 1));
    const pictures = new Set<string>();
    const order = fc.shuffledSubarray([0, 1, 2, 3], { minLength: 4 });
    fc.assert(
      fc.property(order, order, (first, second) => {
        state = new ClusterState();
        for (const index of [...first, ...second]) register(index + 1, inventories[index]);
        pictures.add(
          JSON.stringify(picture(), (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value)),
        );
      }),
    );
    expect(pictures.size).toBe(1);
  });
});

describe('the invariants of the state', () => {
  it('stop a second leader of one epoch, an older epoch, and a topic that comes back', () => {
    register(1);
    const topicId = made('orders', { partitionCount: 1 });
    electAll();
    const known = { type: 'leader_known', topicId, partition: 0, inSync: [], inSyncVersion: 0, live: true } as const;
    expect(() => state.apply({ ...known, epoch: 1, leader: 2 })).toThrow('two leaders');
    expect(() => state.apply({ ...known, epoch: 0, leader: 1 })).toThrow('goes back');
    state.apply({ type: 'topic_buried', tombstone: { topicId, name: 'orders', deleteId: 'd', deleteTimeMs: 0 } });
    expect(() =>
      state.apply({ type: 'topic_put', definition: definition(topicId, 'orders'), name: 'orders', life: 'active' }),
    ).toThrow('deleted');
  });

  it('pass over what two brokers claim against each other', () => {
    register(1);
    const topicId = made('orders', { partitionCount: 1 });
    electAll();
    register(2, { replicas: [report(topicId, 0, 'x', { leadingEpoch: 1 })] });
    expect(state.partition(topicId, 0)).toMatchObject({ leader: 1, epoch: 1 });
  });
});
