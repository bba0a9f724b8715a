/** What crosses an edge comes back as it was: settings as messages, topics and partitions as entries of the store. */
import { ClusterState, CODECS, mergeStoredTopic, settingsInForce } from '@partita/cluster';
import type { Reassignment, TopicSettings } from '@partita/cluster';
import { PartitaError } from '@partita/domain';
import { FlushMode, TopicConfig, TopicSettings as TopicSettingsMessage } from '@partita/protocol';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  hintedInstance,
  partitionPublication,
  storedPartition,
  storedTopic,
  topicEntry,
} from './directory/directory-codec.ts';
import { definitionFromMessage, definitionMessage } from './peer-messages.ts';
import { movesEntry, storedReassignment } from './directory/reassignment-codec.ts';
import { settingsFromMessage, settingsMessage } from './topics/setting-messages.ts';

const count = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });

const anySettings: fc.Arbitrary<TopicSettings> = fc.record(
  {
    minInSyncReplicas: fc.integer({ min: 1, max: 7 }),
    flush: fc.constantFrom('fsync', 'os'),
    retentionAge: count,
    retentionBytes: fc.oneof(count, fc.constant(-1)),
    cleanupPolicy: fc.constantFrom('delete', 'compact', 'compact_delete'),
    segmentBytes: count,
    segmentAge: count,
    recordBytesMax: fc.integer({ min: 1024, max: 1 << 21 }),
    timestampType: fc.constantFrom('create', 'append'),
    timestampFutureMsMax: count,
    allowedCodecs: fc.subarray([...CODECS], { minLength: 1 }),
    tombstoneDelay: count,
    compactionLag: count,
    produceBytesPerSecond: fc.oneof(count, fc.constant(-1)),
    consumeBytesPerSecond: fc.oneof(count, fc.constant(-1)),
  },
  { requiredKeys: [] },
);

it('settings survive the message, wire included', () => {
  fc.assert(
    fc.property(anySettings, (settings) => {
      const wire = TopicSettingsMessage.encode(settingsMessage(settings)).finish();
      expect(settingsFromMessage(TopicSettingsMessage.decode(wire))).toEqual(settings);
    }),
  );
});

it('every setting in force can be said as a message', () => {
  const inForce = settingsInForce({ allowedCodecs: ['zstd'] }, 3);
  expect(settingsFromMessage(settingsMessage(inForce))).toEqual(inForce);
});

it.each([
  [{ flush: 9 as FlushMode }, 'INVALID_REQUEST'],
  [{ retentionAge: { seconds: 1n, nanos: 1 } }, 'INVALID_SETTING'],
  [{ retentionBytes: 2n ** 60n }, 'INVALID_SETTING'],
])('refuses settings that none can be: %s', (message, reason) => {
  try {
    settingsFromMessage(TopicSettingsMessage.fromPartial(message));
    expect.unreachable();
  } catch (error) {
    expect(error).toBeInstanceOf(PartitaError);
    expect((error as PartitaError).reason).toBe(reason);
  }
});

it('topics survive the message to brokers and the entry of the store', () => {
  fc.assert(
    fc.property(anySettings, fc.string(), (settings, requestId) => {
      const definition = {
        topicId: 't',
        name: 'orders',
        version: 7n,
        ranges: [
          { hashMin: 0, hashMax: 9 },
          { hashMin: 10, hashMax: 2 ** 32 - 1 },
        ],
        replicationFactor: 1,
        settings,
        createTimeMs: 1_700_000_000_123,
        requestId,
      };
      const wire = TopicConfig.encode(definitionMessage(definition)).finish();
      expect(definitionFromMessage(TopicConfig.decode(wire))).toEqual(definition);
      const entry = topicEntry({ definition, name: 'orders~conflict~t', life: 'creating', partitions: [] });
      expect(entry).toMatchObject({ name: 'orders~conflict~t', partitionCount: 2, version: 7, state: 'creating' });
      expect(storedTopic(entry)).toEqual({ definition, life: 'creating' });
    }),
  );
});

it('what somebody else wrote into the store is passed over', () => {
  const entry = topicEntry({
    definition: {
      topicId: 't',
      name: 'a',
      version: 1n,
      ranges: [],
      replicationFactor: 1,
      settings: {},
      createTimeMs: 0,
      requestId: '',
    },
    name: 'a',
    life: 'active',
    partitions: [],
  });
  const whole = JSON.parse(entry.settings) as object;
  const lies = [
    { v: 2 },
    { name: 'a b' },
    { name: 7 },
    { ranges: null },
    { ranges: [[0]] },
    { ranges: [[0, 2 ** 32]] },
    { ranges: [[5, 4]] },
    { ranges: [[0, 1]] },
    { settings: null },
    { settings: { retentionAge: 'short' } },
    { settings: { retentionAge: 0.5 } },
    { settings: { flush: 'never' } },
    { settings: { colour: 'red' } },
    { createTimeMs: '0' },
    { requestId: null },
  ].map((lie) => JSON.stringify({ ...whole, ...lie }));
  expect(storedTopic(entry)).toBeDefined();
  for (const settings of ['', 'null', '{"v":1}', '[]', ...lies])
    expect(storedTopic({ ...entry, settings }), settings).toBeUndefined();
  for (const value of ['', 'null', '{"instanceId":1}']) expect(hintedInstance({ shard: 0, value })).toBeUndefined();
  expect(hintedInstance({ shard: 0, value: '{"instanceId":"i"}' })).toEqual({ instanceId: 'i', address: '' });
});

it('ownership survives the entry of the store, and a leader that is away keeps its line', () => {
  const state = new ClusterState();
  const definition = {
    topicId: 't',
    name: 'orders',
    version: 1n,
    ranges: [{ hashMin: 0, hashMax: 2 ** 32 - 1 }],
    replicationFactor: 1,
    settings: {},
    createTimeMs: 0,
    requestId: '',
  };
  const config = {
    configVersion: 1,
    replicas: [{ brokerId: 1, directoryId: 'd', replicaId: 'r' }],
    learners: [],
    minInSyncReplicas: 1,
    flush: 'fsync',
  } as const;
  for (const record of mergeStoredTopic(state, { definition, life: 'active' })) state.apply(record);
  state.apply({ type: 'config_learned', topicId: 't', partition: 0, config });
  state.apply({
    type: 'leader_known',
    topicId: 't',
    partition: 0,
    epoch: 3,
    leader: 1,
    inSync: [1],
    inSyncVersion: 2,
    live: false,
  });
  const publication = partitionPublication(state, 't', state.partition('t', 0)!, 99);
  expect(publication.entry).toMatchObject({
    leader: 1,
    epoch: 3,
    isr: [1],
    isrVersion: 2,
    status: 'offline',
    updatedMs: 99,
  });
  expect(storedPartition(publication, state.topicById('t')!)).toEqual({
    topicId: 't',
    partition: 0,
    config,
    epoch: 3,
    leader: 1,
    inSync: [1],
    inSyncVersion: 2,
    lossy: false,
  });
  const lossy = { ...publication, entry: { ...publication.entry, status: 'lossy' as const } };
  expect(storedPartition(lossy, state.topicById('t')!).lossy).toBe(true);
});

it('reassignments survive the directory, and what is none is passed over', () => {
  const move = fc.record({
    topicId: fc.uuid(),
    partition: fc.nat(9999),
    fromBrokerId: fc.nat(100),
    toBrokerId: fc.nat(100),
    outcome: fc.constantFrom('open', 'succeeded', 'failed', 'cancelled'),
    errorReason: fc.constantFrom('', 'BROKER_NOT_FOUND', 'TOPIC_NOT_FOUND'),
  });
  const any: fc.Arbitrary<Reassignment> = fc.record({
    reassignmentId: fc.uuid(),
    version: fc.integer({ min: 1, max: 1000 }),
    reason: fc.constantFrom('operator', 'balance', 'drain'),
    requestId: fc.string(),
    createTimeMs: count,
    moves: fc.array(move, { minLength: 1, maxLength: 5 }),
  });
  fc.assert(
    fc.property(any, fc.json(), (reassignment, garbage) => {
      const entry = movesEntry(reassignment);
      expect(storedReassignment(entry)).toEqual(reassignment);
      expect(storedReassignment({ ...entry, value: garbage })).toBeUndefined();
      expect(storedReassignment({ ...entry, value: entry.value.slice(1) })).toBeUndefined();
    }),
  );
});

it('replica sets survive the directory with their learners and m, whatever the topic says meanwhile', () => {
  const state = new ClusterState();
  const ranges = [{ hashMin: 0, hashMax: 0xffff_ffff }];
  const topic = { topicId: 't', name: 'orders', version: 1n, ranges, replicationFactor: 3, settings: {} };
  state.apply({
    type: 'topic_put',
    definition: { ...topic, createTimeMs: 1, requestId: '' },
    name: 'orders',
    life: 'active',
  });
  const [a, b, c] = [1, 2, 3].map((brokerId) => ({ brokerId, directoryId: `d${brokerId}`, replicaId: `r${brokerId}` }));
  const config = { configVersion: 4, replicas: [a!, b!], learners: [c!], minInSyncReplicas: 1, flush: 'os' } as const;
  state.apply({ type: 'config_learned', topicId: 't', partition: 0, config });
  const known = state.topicById('t')!;
  const publication = partitionPublication(state, 't', known.partitions[0]!, 5);
  expect(storedPartition(publication, known).config).toEqual(config);
  const { config: _none, ...old } = publication.entry;
  const asBefore = storedPartition({ ...publication, entry: old }, known).config;
  expect(asBefore).toEqual({ ...config, learners: [], minInSyncReplicas: 2, flush: 'fsync' });
});
