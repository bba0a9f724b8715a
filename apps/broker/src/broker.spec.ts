import { rm } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BATCH_DATA, BatchBuilder, batchesIn, CODEC_NONE, decodeBatch } from '@partita/batch';
import {
  Acks,
  BrokerServiceService,
  ClusterServiceService,
  CompressionCodec,
  FlushMode,
  RecordBatches,
  ReplicaServiceService,
} from '@partita/protocol';
import type { OffsetSpec } from '@partita/protocol';
import { fromRpcStatus } from '@partita/rpc';
import { callUnary } from '@partita/rpc/client';
import { batchOf, claimBatch, CLUSTER_ID, entryFor, reasonOf, TestBroker } from './testing/broker.fixture.ts';

function valuesIn(bytes: Uint8Array): string[] {
  const values: string[] = [];
  for (const { position, header } of batchesIn(bytes)) {
    if (header.type !== BATCH_DATA) continue;
    for (const { value } of decodeBatch(bytes, position).records) values.push(Buffer.from(value ?? []).toString());
  }
  return values;
}

describe('a broker', () => {
  let broker: TestBroker;

  beforeEach(async () => {
    broker = await TestBroker.start();
  });

  afterEach(async () => {
    await broker.stop();
    await broker.remove();
  });

  it('appends a batch and gives the same bytes back', async () => {
    const topic = await broker.createTopic('flights');
    expect(await broker.elect(topic, 1)).toEqual([true]);
    const ack = await broker.appendOk(entryFor('flights', batchOf('a', 'b')));
    expect(ack).toMatchObject({ baseOffset: 1n, leaderEpoch: 1, recordCount: 2, replicasAcked: 1, fsynced: true });
    const fetched = await broker.fetch({ topic: 'flights' });
    expect(fetched.error).toBeUndefined();
    expect(fetched.highWatermark).toBe(3n);
    expect(fetched.nextOffset).toBe(3n);
    expect(valuesIn(fetched.recordBatches)).toEqual(['a', 'b']);
  });

  it('takes a batch as a generated client encodes it', async () => {
    await broker.elect(await broker.createTopic('flights'), 1);
    const canonical = RecordBatches.decode(batchOf('a'));
    const bytes = RecordBatches.encode(canonical).finish();
    expect(bytes.length).toBeLessThan(batchOf('a').length);
    await broker.appendOk(entryFor('flights', bytes));
    expect(valuesIn((await broker.fetch({ topic: 'flights' })).recordBatches)).toEqual(['a']);
  });

  it('says in the ack that flush=os has not called fdatasync', async () => {
    const topic = await broker.createTopic('fast', { flush: FlushMode.FLUSH_MODE_OS });
    await broker.elect(topic, 1);
    expect(await broker.appendOk(entryFor('fast', batchOf('a')))).toMatchObject({ fsynced: false, replicasAcked: 1 });
  });

  it('gives concurrent appends consecutive offsets and shares their syncs', async () => {
    await broker.elect(await broker.createTopic('flights'), 1);
    const startMs = performance.now();
    const acks = await Promise.all(
      Array.from({ length: 300 }, (_, n) => broker.appendOk(entryFor('flights', batchOf(`${n}`)))),
    );
    expect(new Set(acks.map((ack) => ack.baseOffset)).size).toBe(300);
    expect(Math.max(...acks.map((ack) => Number(ack.baseOffset)))).toBe(300);
    // 300 syncs in turn would take longer than this on any disk that a laptop has.
    expect(performance.now() - startMs).toBeLessThan(5000);
  });

  it('fails later entries of a partition after one that was refused', async () => {
    await broker.elect(await broker.createTopic('flights', { partitions: 2 }), 1);
    const results = await broker.append(
      entryFor('flights', batchOf('a'), { expectedNextOffset: 0n }),
      entryFor('flights', batchOf('b'), { expectedNextOffset: 0n }),
      entryFor('flights', batchOf('c')),
      entryFor('flights', batchOf('d'), { partition: 1 }),
    );
    expect(results.map(reasonOf)).toEqual(['ack', 'EXPECTED_OFFSET_MISMATCH', 'EXPECTED_OFFSET_MISMATCH', 'ack']);
  });

  it('names each refusal of an append', async () => {
    const topic = await broker.createTopic('flights', {
      settings: { allowedCodecs: [CompressionCodec.COMPRESSION_CODEC_ZSTD], recordBytesMax: 1024 },
    });
    await broker.createTopic('idle');
    await broker.elect(topic, 1);
    const damaged = batchOf('abc');
    damaged[damaged.length - 1] = 0;
    const reasonFor = async (...entry: Parameters<typeof entryFor>) =>
      reasonOf((await broker.append(entryFor(...entry)))[0]);
    expect(await reasonFor('idle', batchOf('a'))).toBe('NOT_LEADER');
    expect(await reasonFor('nowhere', batchOf('a'))).toBe('TOPIC_NOT_FOUND');
    expect(await reasonFor('', batchOf('a'))).toBe('INVALID_REQUEST');
    expect(await reasonFor('flights', batchOf('a'), { partition: 1 })).toBe('PARTITION_NOT_FOUND');
    expect(await reasonFor('flights', batchOf('a'), { acks: 7 as Acks })).toBe('INVALID_REQUEST');
    expect(await reasonFor('flights', batchOf('a'), { leaderEpoch: 2 })).toBe('NOT_LEADER');
    expect(await reasonFor('flights', batchOf('a'), { claimEpoch: 1 })).toBe('INVALID_REQUEST');
    expect(await reasonFor('flights', damaged)).toBe('CHECKSUM_MISMATCH');
    expect(await reasonFor('flights', claimBatch(1, 'x'))).toBe('INVALID_BATCH');
    expect(await reasonFor('flights', batchOf('x'.repeat(2000)))).toBe('RECORD_TOO_LARGE');
    const builder = new BatchBuilder();
    builder.tryAdd({ value: Buffer.from('a'), timestampMs: 1n });
    const producerId = new Uint8Array(16).fill(7);
    const sessionBatch = builder.build({ codec: CODEC_NONE, producerId, producerEpoch: 0, firstSequence: 0n });
    expect(await reasonFor('flights', sessionBatch)).toBe('NOT_IMPLEMENTED');
    expect(await reasonFor('flights', Buffer.from('nonsense'))).toMatch(/MALFORMED_MESSAGE|INVALID_BATCH/);
    expect(await reasonFor('flights', batchOf('a'))).toBe('ack');
  });

  it('lets only the claim holder write an internal topic', async () => {
    await broker.elect(await broker.createTopic('__groups'), 1);
    const reasonFor = async (...entry: Parameters<typeof entryFor>) =>
      reasonOf((await broker.append(entryFor(...entry)))[0]);
    const one = '0190a000-0000-7000-8000-00000000000a';
    const two = '0190a000-0000-7000-8000-00000000000b';
    expect(await reasonFor('__groups', batchOf('a'))).toBe('INTERNAL_TOPIC');
    expect(await reasonFor('__groups', batchOf('a'), { claimEpoch: 1 })).toBe('FENCED_CLAIM');
    expect(await reasonFor('__groups', claimBatch(1, one), { claimEpoch: 1 })).toBe('ack');
    expect(await reasonFor('__groups', claimBatch(1, one), { claimEpoch: 1 })).toBe('ack');
    expect(await reasonFor('__groups', claimBatch(1, two), { claimEpoch: 1 })).toBe('FENCED_CLAIM');
    expect(await reasonFor('__groups', batchOf('a'), { claimEpoch: 1 })).toBe('ack');
    expect(await reasonFor('__groups', claimBatch(2, two), { claimEpoch: 2 })).toBe('ack');
    expect(await reasonFor('__groups', batchOf('b'), { claimEpoch: 1 })).toBe('FENCED_CLAIM');
    expect(await reasonFor('__groups', batchOf('b'), { claimEpoch: 2 })).toBe('ack');
  });

  it('wakes a long poll when something is committed, and lets it time out otherwise', async () => {
    await broker.elect(await broker.createTopic('flights'), 1);
    const waiting = broker.fetch({ topic: 'flights', offset: 1n }, { minBytes: 1, maxWaitMs: 10_000 });
    setTimeout(() => void broker.appendOk(entryFor('flights', batchOf('late'))), 50);
    const startMs = performance.now();
    expect(valuesIn((await waiting).recordBatches)).toEqual(['late']);
    expect(performance.now() - startMs).toBeLessThan(3000);
    const empty = await broker.fetch({ topic: 'flights', offset: 2n }, { minBytes: 1, maxWaitMs: 100 });
    expect(empty).toMatchObject({ nextOffset: 2n, highWatermark: 2n, error: undefined });
    expect(empty.recordBatches.length).toBe(0);
  });

  it('stops a fetch at the end offset and at the size asked for, one batch at least', async () => {
    await broker.elect(await broker.createTopic('flights'), 1);
    for (const value of ['a', 'b', 'c']) await broker.appendOk(entryFor('flights', batchOf(value)));
    const ended = await broker.fetch({ topic: 'flights', offset: 1n, endOffset: 3n });
    expect(valuesIn(ended.recordBatches)).toEqual(['a', 'b']);
    expect(ended.nextOffset).toBe(3n);
    const small = await broker.fetch({ topic: 'flights', offset: 1n }, { maxBytes: 1 });
    expect(valuesIn(small.recordBatches)).toEqual(['a']);
  });

  it('names each refusal of a fetch', async () => {
    await broker.elect(await broker.createTopic('flights'), 1);
    await broker.createTopic('idle');
    const reasonFor = async (...request: Parameters<TestBroker['fetch']>) => {
      const { error } = await broker.fetch(...request);
      return error === undefined ? 'none' : fromRpcStatus(error).reason;
    };
    expect(await reasonFor({ topic: 'flights', offset: 5n })).toBe('OFFSET_OUT_OF_RANGE');
    expect(await reasonFor({ topic: 'flights', offset: -1n })).toBe('INVALID_REQUEST');
    expect(await reasonFor({ topic: 'flights', leaderEpoch: 9 })).toBe('NOT_LEADER');
    expect(await reasonFor({ topic: 'flights', offset: 1n, lastRecordEpoch: 1 })).toBe('none');
    expect(await reasonFor({ topic: 'flights', offset: 1n, lastRecordEpoch: 7 })).toBe('LOG_TRUNCATED');
    expect(await reasonFor({ topic: 'idle' })).toBe('NOT_LEADER');
    expect(await reasonFor({ topic: 'nowhere' })).toBe('TOPIC_NOT_FOUND');
    await expect(broker.fetch({ topic: 'flights' }, { maxWaitMs: -1 })).rejects.toMatchObject({
      reason: 'INVALID_REQUEST',
    });
  });

  it('resolves positions to offsets', async () => {
    await broker.elect(await broker.createTopic('flights'), 1);
    const { appendTimeMs } = await broker.appendOk(entryFor('flights', batchOf('a', 'b')));
    const offsetOf = async (position: OffsetSpec['position']) => {
      const entries = [{ topicId: '', topic: 'flights', partition: 0, position: { position }, withLag: false }];
      const { results } = await callUnary(broker.client, BrokerServiceService.listOffsets, { entries });
      return results[0]?.offset;
    };
    expect(await offsetOf(undefined)).toBe(3n);
    expect(await offsetOf({ $case: 'latest', latest: true })).toBe(3n);
    expect(await offsetOf({ $case: 'earliest', earliest: true })).toBe(0n);
    expect(await offsetOf({ $case: 'offset', offset: 2n })).toBe(2n);
    expect(await offsetOf({ $case: 'offset', offset: 99n })).toBe(3n);
    expect(await offsetOf({ $case: 'ago', ago: { seconds: 3600n, nanos: 0 } })).toBe(1n);
    const future = { seconds: appendTimeMs / 1000n + 60n, nanos: 0 };
    expect(await offsetOf({ $case: 'time', time: future })).toBe(3n);
  });

  it('tells where the data ends, control batches left aside', async () => {
    const topic = await broker.createTopic('flights');
    const ends = async () => {
      const entries = [{ topicId: '', topic: 'flights', partition: 0, position: undefined, withLag: false }];
      const { results } = await callUnary(broker.client, BrokerServiceService.listOffsets, { entries });
      return [results[0]?.dataEndOffset, results[0]?.highWatermark];
    };
    await broker.elect(topic, 1);
    expect(await ends()).toEqual([0n, 1n]);
    await broker.appendOk(entryFor('flights', batchOf('a')));
    expect(await ends()).toEqual([2n, 2n]);
    await broker.elect(topic, 2);
    expect(await ends()).toEqual([2n, 3n]);
  });

  it('tells the bytes and the age of what lies behind a position, when asked', async () => {
    const topic = await broker.createTopic('flights');
    await broker.elect(topic, 1);
    const lagAt = async (offset: bigint, withLag = true) => {
      const position = { position: { $case: 'offset' as const, offset } };
      const entries = [{ topicId: '', topic: 'flights', partition: 0, position, withLag }];
      const { results } = await callUnary(broker.client, BrokerServiceService.listOffsets, { entries });
      return { bytes: results[0]?.bytesToEnd, time: results[0]?.firstAppendTimeMs };
    };
    const first = await broker.appendOk(entryFor('flights', batchOf('a', 'b')));
    await new Promise((resolve) => setTimeout(resolve, 5));
    // A control batch lies between the two.
    await broker.elect(topic, 2);
    const second = await broker.appendOk(entryFor('flights', batchOf('c')));
    const all = await lagAt(0n);
    expect(all.time).toBe(first.appendTimeMs);
    expect(Number(all.bytes)).toBeGreaterThan(batchOf('a', 'b').length + batchOf('c').length - 1);
    expect((await lagAt(first.baseOffset + 2n)).time).toBe(second.appendTimeMs);
    expect(await lagAt(second.baseOffset + 1n)).toEqual({ bytes: 0n, time: undefined });
    expect(await lagAt(0n, false)).toEqual({ bytes: undefined, time: undefined });
  });

  it('stops leading at a higher promise and refuses the old attempt', async () => {
    const topic = await broker.createTopic('flights');
    await broker.elect(topic, 3);
    await broker.appendOk(entryFor('flights', batchOf('a')));
    const [older] = await broker.promise(topic, 2);
    expect(older).toMatchObject({ granted: false, promisedEpoch: 3 });
    const [higher] = await broker.promise(topic, 4);
    expect(higher).toMatchObject({
      granted: true,
      promisedEpoch: 4,
      lastEpoch: 3,
      logEndOffset: 2n,
      highWatermark: 2n,
    });
    expect((await broker.append(entryFor('flights', batchOf('b')))).map(reasonOf)).toEqual(['NOT_LEADER']);
    expect(await broker.elect(topic, 5)).toEqual([true]);
    expect(await broker.appendOk(entryFor('flights', batchOf('b')))).toMatchObject({ baseOffset: 3n, leaderEpoch: 5 });
  });

  it('makes replicas and deletes topics as often as it is told', async () => {
    const topic = await broker.createTopic('flights', { partitions: 3 });
    expect((await broker.createReplicas(topic)).map(({ code }) => code)).toEqual([0, 0, 0]);
    await broker.elect(topic, 1);
    const tombstone = { topicId: topic.config.topicId, deleteId: CLUSTER_ID, deleteTimeMs: BigInt(Date.now()) };
    const remove = () =>
      callUnary(broker.peer, ReplicaServiceService.deleteTopicReplicas, { clusterId: CLUSTER_ID, tombstone });
    expect(await remove()).toEqual({ removedCount: 3 });
    expect(await remove()).toEqual({ removedCount: 0 });
    const refused = await broker.createReplicas(topic);
    expect(refused.map((status) => fromRpcStatus(status).reason)).toEqual(Array(3).fill('TOPIC_NOT_FOUND'));
    expect((await broker.append(entryFor('flights', batchOf('b')))).map(reasonOf)).toEqual(['TOPIC_NOT_FOUND']);
  });

  it('refuses orders for another cluster', async () => {
    const call = callUnary(broker.peer, ReplicaServiceService.updateTopicConfigs, { clusterId: 'other', topics: [] });
    await expect(call).rejects.toMatchObject({ reason: 'WRONG_CLUSTER' });
  });

  it('answers who is in the cluster without a coordinator', async () => {
    const answer = await callUnary(broker.client, ClusterServiceService.getCluster, {});
    expect(answer.clusterId).toBe(CLUSTER_ID);
    expect(answer.endpoints.map(({ address }) => address)).toEqual([broker.address]);
  });

  it('says of methods to come that they are not implemented', async () => {
    const call = callUnary(broker.client, BrokerServiceService.describeProducers, {
      topic: 'a',
      partition: 0,
      pageSize: 0,
      pageToken: '',
    });
    await expect(call).rejects.toMatchObject({ reason: 'NOT_IMPLEMENTED' });
  });
});

describe('a broker that starts again', () => {
  it('has every acknowledged record after it was killed, and leads nothing by itself', async () => {
    const first = await TestBroker.start();
    const topic = await first.createTopic('flights', { partitions: 2 });
    await first.elect(topic, 1);
    await first.appendOk(entryFor('flights', batchOf('a')));
    await first.appendOk(entryFor('flights', batchOf('b'), { partition: 1 }));
    const dir = await first.copyOfDirectory();
    await first.stop();
    await first.remove();
    const second = await TestBroker.start(dir);
    expect((await second.append(entryFor('flights', batchOf('c')))).map(reasonOf)).toEqual(['NOT_LEADER']);
    const [refused] = await second.promise(topic, 1);
    expect(refused).toMatchObject({ granted: false, promisedEpoch: 1 });
    expect(await second.elect(topic, 2)).toEqual([true, true]);
    expect(valuesIn((await second.fetch({ topic: 'flights' })).recordBatches)).toEqual(['a']);
    expect(valuesIn((await second.fetch({ topic: 'flights', partition: 1 })).recordBatches)).toEqual(['b']);
    expect(second.service.ready).toMatchObject({ incarnation: 2 });
    await second.stop();
    await second.remove();
  });

  it('goes on where it stopped in order, with claim and expected offset', async () => {
    const first = await TestBroker.start();
    const groups = await first.createTopic('__groups');
    const flights = await first.createTopic('flights');
    await first.elect(groups, 1);
    await first.elect(flights, 1);
    await first.appendOk(entryFor('__groups', claimBatch(1, CLUSTER_ID), { claimEpoch: 1 }));
    await first.appendOk(entryFor('__groups', batchOf('x'), { claimEpoch: 1 }));
    await first.appendOk(entryFor('flights', batchOf('a')));
    await first.stop();
    const second = await TestBroker.start(first.dir);
    await second.elect(groups, 2);
    await second.elect(flights, 2);
    const results = await second.append(
      entryFor('__groups', batchOf('y'), { claimEpoch: 1, expectedNextOffset: 3n }),
      entryFor('flights', batchOf('b'), { expectedNextOffset: 1n }),
    );
    expect(results.map(reasonOf)).toEqual(['ack', 'EXPECTED_OFFSET_MISMATCH']);
    expect(reasonOf((await second.append(entryFor('flights', batchOf('b'), { expectedNextOffset: 2n })))[0])).toBe(
      'ack',
    );
    await second.stop();
    await second.remove();
  });

  it('refuses a directory that is in use, or belongs to another broker or cluster, with exit code 3', async () => {
    const broker = await TestBroker.start();
    await expect(TestBroker.start(broker.dir)).rejects.toMatchObject({ code: 3 });
    await broker.stop();
    await expect(TestBroker.start(broker.dir, { id: 2 })).rejects.toMatchObject({ code: 3 });
    const clusterId = '0190a000-0000-7000-8000-000000000002';
    await expect(TestBroker.start(broker.dir, { clusterId })).rejects.toMatchObject({ code: 3 });
    await rm(broker.dir, { recursive: true });
  });
});
