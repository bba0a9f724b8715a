import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BATCH_DATA, BatchBuilder, batchesIn, CODEC_NONE } from '@partita/batch';
import { BrokerServiceService, CleanupPolicy, ReplicaServiceService, TopicSettings } from '@partita/protocol';
import { callUnary } from '@partita/rpc/client';
import { batchOf, CLUSTER_ID, entryFor, TestBroker } from '../testing/broker.fixture.ts';
import type { TestTopic } from '../testing/broker.fixture.ts';

const SMALL_SEGMENTS = { segmentBytes: 64n * 1024n } as const;
const RETENTION_MS = 100;
let broker: TestBroker;

beforeEach(async () => {
  broker = await TestBroker.start(undefined, { retentionInterval: RETENTION_MS });
});

afterEach(async () => {
  await broker.stop();
  await broker.remove();
});

async function deleteRecords(topic: string, beforeOffset: bigint): Promise<bigint> {
  const request = { topic, partition: 0, beforeOffset };
  return (await callUnary(broker.client, BrokerServiceService.deleteRecords, request)).logStartOffset;
}

/** A topic with a dozen segments of 64 KiB, a record of 30 KB in each batch. */
async function filledTopic(name: string, settings: Partial<TopicSettings> = {}): Promise<TestTopic> {
  const topic = await broker.createTopic(name, { settings: { ...SMALL_SEGMENTS, ...settings } });
  await broker.elect(topic, 1);
  for (let count = 0; count < 24; count += 1) await broker.appendOk(entryFor(name, batchOf('x'.repeat(30_000))));
  return topic;
}

async function segmentCount(topic: TestTopic): Promise<number> {
  const names = await readdir(join(broker.dir, topic.config.topicId, '0'));
  return names.filter((name) => name.endsWith('.log')).length;
}

async function until(what: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await what()); tries += 1) {
    if (tries > 100) throw new Error('it did not happen within 10 s');
    await sleep(100);
  }
}

describe('DeleteRecords', () => {
  it('deletes what lies below, for good', async () => {
    const topic = await filledTopic('flights');
    expect(await segmentCount(topic)).toBeGreaterThan(10);
    expect(await deleteRecords('flights', 13n)).toBe(13n);
    expect(await segmentCount(topic)).toBeLessThan(8);
    expect(await deleteRecords('flights', 5n)).toBe(13n);
    const below = await broker.fetch({ topic: 'flights', offset: 12n });
    expect(below.error?.message).toContain('outside of 13..25');
    const dir = await broker.copyOfDirectory();
    await broker.stop();
    broker = await TestBroker.start(dir);
    await broker.elect(topic, 2);
    expect(await deleteRecords('flights', 0n)).toBe(13n);
    expect(await deleteRecords('flights', 26n)).toBe(26n);
    expect(await segmentCount(topic)).toBe(1);
  });

  it('refuses what cannot be', async () => {
    await filledTopic('flights');
    await expect(deleteRecords('flights', 26n)).rejects.toMatchObject({ reason: 'OFFSET_OUT_OF_RANGE' });
    await expect(deleteRecords('flights', -1n)).rejects.toMatchObject({ reason: 'INVALID_REQUEST' });
    await expect(deleteRecords('nothing', 0n)).rejects.toMatchObject({ reason: 'TOPIC_NOT_FOUND' });
    await broker.elect(await broker.createTopic('__own'), 1);
    await expect(deleteRecords('__own', 0n)).rejects.toMatchObject({ reason: 'INTERNAL_TOPIC' });
    await broker.createTopic('led-by-nobody');
    await expect(deleteRecords('led-by-nobody', 0n)).rejects.toMatchObject({ reason: 'NOT_LEADER' });
  });
});

describe('retention', () => {
  it('by bytes keeps the newest, and starts when the setting comes', async () => {
    const topic = await filledTopic('flights');
    const before = await segmentCount(topic);
    await new Promise((go) => setTimeout(go, 400));
    expect(await segmentCount(topic)).toBe(before);
    const settings = TopicSettings.fromPartial({ ...SMALL_SEGMENTS, retentionBytes: 128n * 1024n });
    const topics = [{ ...topic.config, version: 2n, settings }];
    await callUnary(broker.peer, ReplicaServiceService.updateTopicConfigs, { clusterId: CLUSTER_ID, topics });
    await until(async () => (await segmentCount(topic)) <= 4);
    const fetched = await broker.fetch({ topic: 'flights', offset: 24n });
    expect(fetched.highWatermark - fetched.logStartOffset).toBeGreaterThan(4n);
  });

  it('by age deletes nothing while no coordinator tells the time', async () => {
    const topic = await filledTopic('flights', { retentionAge: { seconds: 1n, nanos: 0 } });
    const before = await segmentCount(topic);
    await new Promise((go) => setTimeout(go, 2500));
    expect(await segmentCount(topic)).toBe(before);
  });
});

describe('reading all logs through', () => {
  it('finds damage that nobody has read, says where, and goes on with the other partitions', async () => {
    const topic = await broker.createTopic('flights', { partitions: 2, settings: SMALL_SEGMENTS });
    await broker.elect(topic, 1);
    for (const partition of [0, 1]) {
      for (let count = 0; count < 6; count += 1) {
        await broker.appendOk(entryFor('flights', batchOf('x'.repeat(30_000)), { partition }));
      }
    }
    await broker.stop();
    const path = join(broker.dir, topic.config.topicId, '0', '00000000000000000000.log');
    const bytes = await readFile(path);
    bytes[20_000]! ^= 1;
    await writeFile(path, bytes);
    const lines: { msg: string; err?: { metadata?: { file?: string } }; damagedCount?: number; bytes?: number }[] = [];
    broker = await TestBroker.start(broker.dir, { scrubInterval: 1000 }, (line) =>
      lines.push(JSON.parse(line) as never),
    );
    await until(async () => lines.some(({ msg }) => msg === 'read all logs through'));
    const damage = lines.find(({ msg }) => msg === 'reading a log through found damage');
    expect(JSON.stringify(damage)).toContain('00000000000000000000.log');
    const round = lines.find(({ msg }) => msg === 'read all logs through');
    expect(round?.damagedCount).toBe(1);
    expect(round?.bytes).toBeGreaterThan(150_000);
    expect(await readFile(path)).toEqual(bytes);
  });
});

describe('compaction', () => {
  it('keeps the last value of each key of a topic that asks for it, in a process, and survives a kill', async () => {
    const settings = { ...SMALL_SEGMENTS, cleanupPolicy: CleanupPolicy.CLEANUP_POLICY_COMPACT };
    const topic = await broker.createTopic('accounts', { settings });
    await broker.elect(topic, 1);
    for (let count = 0; count < 60; count += 1) {
      await broker.appendOk(entryFor('accounts', keyedBatch(`k${count % 5}`, `${count} ${'x'.repeat(10_000)}`)));
    }
    let offsets: bigint[] = [];
    await until(async () => {
      const before = offsets;
      await sleep(RETENTION_MS * 5);
      offsets = await offsetsOf('accounts');
      // Less than half, and nothing more that it would take away.
      return offsets.length < 25 && offsets.length === before.length;
    });
    const dir = await broker.copyOfDirectory();
    await broker.stop();
    broker = await TestBroker.start(dir, { retentionInterval: RETENTION_MS });
    await broker.elect(topic, 2);
    expect(await offsetsOf('accounts')).toEqual(offsets);
    expect(offsets.slice(-5)).toEqual([56n, 57n, 58n, 59n, 60n]);
  });
});

function keyedBatch(key: string, value: string): Buffer {
  const builder = new BatchBuilder();
  builder.tryAdd({ key: Buffer.from(key), value: Buffer.from(value), timestampMs: 1n });
  return builder.build({ codec: CODEC_NONE });
}

/** Offsets of all data records. */
async function offsetsOf(topic: string): Promise<bigint[]> {
  const offsets: bigint[] = [];
  for (let offset = 0n; ;) {
    const fetched = await broker.fetch({ topic, offset, maxBytes: 200_000 });
    for (const { header } of batchesIn(fetched.recordBatches)) {
      if (header.type === BATCH_DATA) offsets.push(header.baseOffset);
    }
    if (fetched.nextOffset >= fetched.highWatermark) return offsets;
    offset = fetched.nextOffset;
  }
}
