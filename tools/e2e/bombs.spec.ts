/**
 * Decompression bombs. A leader takes batches in without unpacking them: a claim that is too large is refused, and a claim
 * that lies is stored. Whoever unpacks gives up at the claim: no process grows or stands still, readers are told which batch
 * cannot be read, and what lies behind it can be read.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '@partita/client';
import { BrokerServiceService, ProduceRequest } from '@partita/protocol';
import { callUnary } from '@partita/rpc/client';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Api, valueOf } from './api.ts';
import { AppendDoors, DOORS } from './append-doors.ts';
import { BOMB_BYTES, honestBombs, packedZeros, poison } from './bombs.ts';
import { figure } from './figures.ts';
import { startCluster } from './harness.ts';
import type { Cluster } from './harness.ts';
import { Member } from './member.ts';
import { ageSecondsOf, memoryOf } from './process-figures.ts';
import { RawClient } from './raw-call.ts';
import { stallProbe, stallsOf } from './stalls.ts';
import { stockBatches, stockFields } from './stock-library.ts';
import { until } from './until.ts';

const MIB = 1024 * 1024;
/** A batch may unpack to 16 MiB, and what was unpacked for one is garbage only some time later. */
const GROWTH_BYTES_MAX = 128 * MIB;
/** Of the event loop's own work: unpacking 16 MiB, and looking at 100,000 records. */
const BUSY_MS_MAX = 400;
const GZIP_MESSAGES = { 'grpc.default_compression_algorithm': 2 };

const ZEROS = packedZeros();
const POISON = poison(ZEROS);
const stallFolder = mkdtempSync(join(tmpdir(), 'partita-bombs-'));
let cluster: Cluster;
let api: Api;
let doors: AppendDoors;
/** Process id → resident bytes and age, seconds, before the first bomb. */
let before: Map<number, { readonly residentBytes: number; readonly ageSeconds: number }>;

beforeAll(async () => {
  cluster = await startCluster({ brokers: 1, env: stallProbe(stallFolder) });
  api = new Api(cluster);
  doors = new AppendDoors(cluster, api, await api.createTopic('bombs', POISON.length));
  const look = (pid: number) => ({ residentBytes: memoryOf(pid).residentBytes, ageSeconds: ageSecondsOf(pid) });
  before = new Map(cluster.servicePids.map((pid) => [pid, look(pid)]));
});
afterEach(() => expect(cluster.servicePids).toEqual([...before.keys()]));
afterAll(async () => {
  doors.close();
  api.close();
  await cluster.dispose();
  rmSync(stallFolder, { recursive: true, force: true });
});

const topic = (): string => doors.topic.name;

it('refuses a bomb that claims its size at every door, and stores nothing', async () => {
  const standing = await doors.standing();
  for (const [codec, fields] of honestBombs(ZEROS)) {
    const limit = { bytes: String(BOMB_BYTES), limit: String(16 * MIB) };
    for (const door of DOORS) {
      const outcome = await doors.send(door, stockBatches(fields));
      expect(outcome, `${codec} by ${door}`).toEqual({ reason: 'BATCH_TOO_LARGE', ...limit });
    }
  }
  expect(await doors.standing()).toEqual(standing);
});

it('refuses a message that inflates beyond the limit of messages, before it is inflated', async () => {
  const record = { value: Buffer.alloc(BOMB_BYTES / 2) };
  const request = ProduceRequest.encode(ProduceRequest.fromPartial({ topic: topic(), records: [record] })).finish();
  const { gateway, broker } = cluster.addresses;
  for (const [address, path] of [
    [gateway, '/partita.v1.ProducerService/Produce'],
    [broker, '/partita.v1.BrokerService/Append'],
  ] as const) {
    const client = new RawClient(address, GZIP_MESSAGES);
    const metadata = { limit: 'message_bytes', value: String(4 * MIB) };
    expect(await client.unary(path, request, 20_000)).toMatchObject({ reason: 'LIMIT_EXCEEDED', metadata });
    client.close();
  }
});

describe('a batch whose records are not what its header says is stored, since a leader unpacks nothing, and', () => {
  beforeAll(async () => {
    for (const [partition, [what, fields]] of POISON.entries()) {
      expect(await doors.append(stockBatches(fields), { partition }), what).toMatchObject({ ack: { fsynced: true } });
      const good = stockBatches(stockFields([{ value: 'behind it' }]));
      expect(await doors.append(good, { partition })).toMatchObject({ ack: { recordCount: 1 } });
    }
  });

  it.for(POISON.map(([what], partition) => ({ what, partition })))(
    'is CORRUPT_BATCH to ReadRecords, which reads on behind it: $what',
    async ({ partition }) => {
      const metadata = { topic_id: doors.topic.topicId, topic: topic(), partition: String(partition), offset: '1' };
      await expect(api.readPartition(topic(), partition)).rejects.toMatchObject({ reason: 'CORRUPT_BATCH', metadata });
      const { dataEnd } = await doors.standing(partition);
      expect((await api.readPartition(topic(), partition, 30_000, dataEnd - 1n)).map(valueOf)).toEqual(['behind it']);
    },
  );

  it('has an offset to whoever asks for a time', async () => {
    const client = api.pool.client(cluster.addresses.broker);
    const position = { position: { $case: 'time' as const, time: { seconds: 1n, nanos: 0 } } };
    const entries = POISON.map((_, partition) => ({ topicId: '', topic: topic(), partition, position, withLag: true }));
    const { results } = await callUnary(client, BrokerServiceService.listOffsets, { entries });
    expect(results.map(({ error, offset }) => [error, offset])).toEqual(POISON.map(() => [undefined, 1n]));
  });

  it('ends a member of a group with CORRUPT_BATCH', async () => {
    const member = new Member(api, cluster.addresses.consumerGroup, 'bombed', [topic()]);
    await until('the end of the member', 20, () => member.ended !== undefined);
    expect(member.ended).toMatchObject({ reason: 'CORRUPT_BATCH', metadata: { topic: topic(), offset: '1' } });
  });

  it.for(['batches', 'records', 'direct'] as const)(
    'ends a consumer of the SDK with CORRUPT_BATCH: %s',
    async (delivery) => {
      const { gateway, coordinators } = cluster.file;
      const client = await connect({ servers: [gateway, ...coordinators] });
      try {
        const consumer = client.consumer({
          group: `bombed-${delivery}`,
          topics: [topic()],
          delivery,
        });
        const reading = (async () => {
          for await (const record of consumer) expect(record.value).toBeDefined();
        })();
        await expect(reading).rejects.toMatchObject({ reason: 'CORRUPT_BATCH' });
      } finally {
        await client.close();
      }
    },
  );
});

it('after all of that no process has grown by what was packed, or stood still', async () => {
  // A stall is noted by the timer behind it.
  await sleep(100);
  for (const [pid, { residentBytes, ageSeconds }] of before) {
    const grownBytes = memoryOf(pid).residentBytesMax - residentBytes;
    const { longestBusyMs } = stallsOf(stallFolder, pid, ageSeconds);
    figure('bombs', `process ${pid}: MiB grown`, Math.round(grownBytes / MIB));
    figure('bombs', `process ${pid}: longest work, ms`, longestBusyMs);
    expect(grownBytes).toBeLessThan(GROWTH_BYTES_MAX);
    expect(longestBusyMs).toBeLessThan(BUSY_MS_MAX);
  }
});
