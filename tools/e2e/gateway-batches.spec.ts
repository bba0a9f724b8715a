/** Ready batches through the gateway: those that would go where their keys do not belong, or that it could not pass on. */
import { keyHash } from '@partita/batch';
import { TopicServiceService } from '@partita/protocol';
import { callUnary } from '@partita/rpc/client';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Api } from './api.ts';
import { AppendDoors } from './append-doors.ts';
import type { SendOptions } from './append-doors.ts';
import { startCluster } from './harness.ts';
import type { Cluster } from './harness.ts';
import { freshSession, stockBatches, stockFields } from './stock-library.ts';
import { until } from './until.ts';

const MIB = 1024 * 1024;
const PARTITION_COUNT = 4;

let cluster: Cluster;
let api: Api;
let doors: AppendDoors;

beforeAll(async () => {
  cluster = await startCluster({ brokers: 1 });
  api = new Api(cluster);
  doors = new AppendDoors(cluster, api, await api.createTopic('routed', PARTITION_COUNT));
});
afterAll(async () => {
  doors.close();
  api.close();
  await cluster.dispose();
});

const send = (batch: Uint8Array, options: SendOptions) => doors.send('ProduceStream', batch, options);

/** A key for each partition: they share the range of hashes evenly, in the order of their numbers. */
function keysByPartition(): string[] {
  const keys: string[] = [];
  for (let index = 0; keys.filter(Boolean).length < PARTITION_COUNT; index += 1) {
    const partition = Math.floor(keyHash(Buffer.from(`key-${index}`)) / (2 ** 32 / PARTITION_COUNT));
    keys[partition] ??= `key-${index}`;
  }
  return keys;
}

it('refuses a batch with a key outside of the range of its partition, unless the caller chose the partition', async () => {
  const keys = keysByPartition();
  for (const session of [undefined, freshSession()]) {
    const batchOf = (...of: readonly string[]) =>
      stockBatches(
        stockFields(
          of.map((key) => ({ key, value: 'v' })),
          'NONE',
          session,
        ),
      );
    const before = await doors.standing(1);
    const byKey = { partition: 1, partitionChosen: false };
    for (const foreign of [
      batchOf(keys[2]!),
      batchOf(keys[1]!, keys[2]!),
      batchOf(keys[0]!, keys[1]!),
      batchOf(keys[0]!, keys[3]!),
    ]) {
      expect(await send(foreign, byKey)).toMatchObject({ reason: 'INVALID_BATCH' });
    }
    expect(await send(Buffer.from([0x0a, 0x7f]), byKey)).toMatchObject({ reason: 'MALFORMED_MESSAGE' });
    expect(await doors.standing(1)).toEqual(before);
    const stored = { ack: { partition: 1, duplicate: false } };
    expect(await send(batchOf(keys[1]!), byKey)).toMatchObject(stored);
    const next = session === undefined ? undefined : { ...session, firstSequence: 1 };
    const foreign = stockBatches(stockFields([{ key: keys[2]!, value: 'v' }], 'NONE', next));
    expect(await send(foreign, { partition: 1, partitionChosen: true })).toMatchObject(stored);
  }
});

it('takes a batch without keys for any partition', async () => {
  for (let partition = 0; partition < PARTITION_COUNT; partition += 1) {
    const batch = stockBatches(stockFields([{ value: 'no key' }]));
    expect(await send(batch, { partition, partitionChosen: false })).toMatchObject({ ack: { partition } });
  }
});

it('refuses a batch for a topic of that name that has another id, as after it was deleted and made again', async () => {
  const { topicId } = doors.topic;
  const before = await doors.standing();
  const batch = (): Buffer => stockBatches(stockFields([{ value: 'v' }], 'NONE', freshSession()));
  const other = '0190a000-0000-7000-8000-00000000000a';
  expect(await send(batch(), { topicId: other })).toMatchObject({ reason: 'TOPIC_NOT_FOUND', topic: 'routed' });
  expect(await doors.standing()).toEqual(before);
  expect(await send(batch(), { topicId })).toMatchObject({ ack: { duplicate: false } });

  const first = new AppendDoors(cluster, api, await api.createTopic('again', 1));
  expect(await first.send('ProduceStream', batch(), { topicId: first.topic.topicId })).toMatchObject({ ack: {} });
  const client = api.pool.client(cluster.addresses.coordinator);
  await callUnary(client, TopicServiceService.deleteTopic, { topic: 'again', etag: '', requestId: '' });
  const second = new AppendDoors(
    cluster,
    api,
    await until('the name to be free', 20, () => api.createTopic('again', 1)),
  );
  expect(second.topic.topicId).not.toBe(first.topic.topicId);
  await until('the gateway to know the new topic', 20, async () => {
    const outcome = await second.send('ProduceStream', batch(), { topicId: second.topic.topicId });
    return 'ack' in outcome;
  });
  const late = await first.send('ProduceStream', batch(), { topicId: first.topic.topicId });
  expect(late).toMatchObject({ reason: 'TOPIC_NOT_FOUND' });
  first.close();
  second.close();
});

it('refuses a batch that fills its own message but not that of the gateway to the leader, which all producers share', async () => {
  const before = await doors.standing();
  for (let spare = 96; spare <= 160; spare += 8) {
    const batch = stockBatches({ ...stockFields([{ value: 'x'.repeat(4 * MIB - spare) }]), codec: 2 });
    const outcome = await send(batch, {});
    const tooLarge = { reason: 'BATCH_TOO_LARGE', bytes: String(batch.length), limit: String(2 * MIB) };
    // With little to spare not even the client's own message is taken.
    if (outcome['reason' as never] !== 'LIMIT_EXCEEDED') expect(outcome, `${spare} to spare`).toEqual(tooLarge);
  }
  expect(await doors.standing()).toEqual(before);
  expect(await doors.append(stockBatches(stockFields([{ value: 'good' }])))).toMatchObject({ ack: {} });
});
