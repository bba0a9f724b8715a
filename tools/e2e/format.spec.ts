/** Wire bytes are disk bytes are protobuf: any tool reads a broker's files, any library writes its batches. */
import { copyFileSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HEADER_BYTES, batchesIn, recordsAt } from '@partita/batch';
import {
  Acks,
  AppendRequest,
  AppendResponse,
  BatchType,
  CompressionCodec,
  ProduceStreamRequest,
  ProduceStreamResponse,
  RecordSet,
} from '@partita/protocol';
import type { Topic } from '@partita/protocol';
import { Api, valueOf } from './api.ts';
import { outputOf, run } from './command.ts';
import { startCluster } from './harness.ts';
import type { Cluster } from './harness.ts';
import { RawClient } from './raw-call.ts';
import { stockBatch, stockBytes } from './stock-batch.ts';

let cluster: Cluster;
let api: Api;
let topic: Topic;
let folder: string;
beforeAll(async () => {
  cluster = await startCluster({ brokers: 1 });
  api = new Api(cluster);
  topic = await api.createTopic('format', 1);
  folder = mkdtempSync(join(tmpdir(), 'partita-format-'));
});
afterAll(async () => {
  api.close();
  rmSync(folder, { recursive: true, force: true });
  await cluster.dispose();
});

/** The partition's only segment file, on the disk of the running broker. */
function liveSegment(): string {
  const [dataDir = ''] = cluster.file.brokers.map((broker) => broker.dataDir);
  const found = globSync(`${dataDir}/**/${topic.topicId}/0/*.log`);
  expect(found).toHaveLength(1);
  return found[0] ?? '';
}

/** Bytes of the data batches of the live segment. */
function storedBatches(): Buffer[] {
  const bytes = readFileSync(liveSegment());
  return [...batchesIn(bytes)]
    .filter(({ header }) => header.type === BatchType.BATCH_TYPE_DATA)
    .map(({ position, header }) => bytes.subarray(position, position + header.batchBytes));
}

/** The fixed bytes of a header, as libs/batch/FORMAT.md has them: every field is there, in order, zeros included. */
const HEADER_TAGS: readonly (readonly [number, readonly number[]])[] = [
  ...([
    [0, [0x0a]],
    [5, [0x09]],
    [14, [0x15]],
    [19, [0x19]],
    [28, [0x25]],
    [33, [0x2d]],
    [38, [0x35]],
  ] as const),
  ...([
    [43, [0x3d]],
    [48, [0x41]],
    [57, [0x49]],
    [66, [0x55]],
    [71, [0x5a, 0x10]],
    [89, [0x65]],
  ] as const),
  ...([
    [94, [0x69]],
    [103, [0x75]],
    [108, [0x7d]],
    [113, [0x80, 0x01]],
    [116, [0x88, 0x01]],
  ] as const),
  ...([
    [119, [0x90, 0x01]],
    [122, [0x9a, 0x01]],
  ] as const),
];

function expectCanonical(batch: Buffer): void {
  for (const [at, tag] of HEADER_TAGS) expect([...batch.subarray(at, at + tag.length)], `byte ${at}`).toEqual([...tag]);
  const paddedVarint = (at: number): number =>
    batch.subarray(at, at + 4).reduce((sum, byte, index) => sum + (byte & 0x7f) * 128 ** index, 0);
  for (const at of [1, 2, 3, 124, 125, 126]) expect((batch[at] ?? 0) & 0x80, `byte ${at}`).toBe(0x80);
  expect(paddedVarint(124)).toBe(batch.length - HEADER_BYTES);
  expect(paddedVarint(1)).toBe(batch.length - 5);
}

async function stockAppend(record: { key?: string; value: string }): Promise<AppendResponse> {
  const { leaderAddress } = await api.partition('format', 0);
  const client = new RawClient(leaderAddress);
  try {
    const request = AppendRequest.fromPartial({
      entries: [
        { topic: 'format', partition: 0, recordBatches: stockBytes(stockBatch([record])), acks: Acks.ACKS_ALL },
      ],
    });
    const answer = await client.unary('/partita.v1.BrokerService/Append', AppendRequest.encode(request).finish());
    expect(answer).toMatchObject({ code: 'OK' });
    return AppendResponse.decode(answer.responses[0] ?? Buffer.alloc(0));
  } finally {
    client.close();
  }
}

describe('a segment file of a running broker', () => {
  it('is decoded by buf as partita.v1.RecordBatches and shows its records', async () => {
    const values = ['hello', 'segment', 'file'];
    for (const value of values) await api.produce('format', [{ key: 'k', value }]);
    const copy = join(folder, 'copy.log');
    copyFileSync(liveSegment(), copy);

    const json = await outputOf(
      run('buf', [
        ...['convert', 'proto', '--type', 'partita.v1.RecordBatches'],
        ...['--from', `${copy}#format=binpb`, '--to', '-#format=json'],
      ]),
    );
    const file = JSON.parse(json) as {
      segment: { topicId: string; clusterId: string };
      batches: { type: string; records: string; baseOffset?: string }[];
    };
    expect(file.segment).toMatchObject({ topicId: topic.topicId, formatVersion: 1 });
    const data = file.batches.filter(({ type }) => type === 'BATCH_TYPE_DATA');
    const records = data.flatMap(({ records }) => RecordSet.decode(Buffer.from(records, 'base64')).records);
    expect(records.map(({ value }) => Buffer.from(value ?? []).toString())).toEqual(values);
  });
});

describe('a batch built by a stock protobuf library, zeros left out', () => {
  it('is accepted by Append and stored in the canonical form', async () => {
    const before = storedBatches().length;
    const sent = stockBytes(stockBatch([{ key: 'stock', value: 'by append' }]));
    expect(sent.length).toBeLessThan(HEADER_BYTES);
    const { results } = await stockAppend({ key: 'stock', value: 'by append' });
    expect(results[0]?.outcome).toMatchObject({ $case: 'ack', ack: { recordCount: 1, fsynced: true } });
    const stored = storedBatches().slice(before);
    expect(stored).toHaveLength(1);
    expectCanonical(stored[0] ?? Buffer.alloc(0));
    const [record] = RecordSet.decode(recordsAt(stored[0] ?? Buffer.alloc(0), 0)).records;
    expect(Buffer.from(record?.value ?? []).toString()).toBe('by append');
  });

  it('is accepted by ProduceStream as a batch frame, stored canonically and read back', async () => {
    const before = storedBatches().length;
    const client = new RawClient(cluster.addresses.gateway);
    const message = (part: Parameters<typeof ProduceStreamRequest.fromPartial>[0]): Uint8Array =>
      ProduceStreamRequest.encode(ProduceStreamRequest.fromPartial(part)).finish();
    const batch = { ...stockBatch([{ value: 'by stream' }]), codec: CompressionCodec.COMPRESSION_CODEC_NONE };
    const frames = [
      message({ message: { $case: 'initial', initial: {} } }),
      message({
        message: {
          $case: 'batch',
          batch: { frameId: 7n, topic: 'format', partition: 0, recordBatches: stockBytes(batch) },
        },
      }),
    ];
    const results = (responses: readonly Buffer[]) =>
      responses.flatMap((bytes) => {
        const { message: decoded } = ProduceStreamResponse.decode(bytes);
        return decoded?.$case === 'result' ? [decoded.result] : [];
      });
    const answer = await client.stream('/partita.v1.ProducerService/ProduceStream', frames, {
      enough: (responses) => results(responses).length > 0,
    });
    client.close();
    expect(answer).toMatchObject({ code: 'OK' });
    expect(results(answer.responses)).toMatchObject([
      { frameId: 7n, outcome: { $case: 'response', response: { results: [{ outcome: { $case: 'ack' } }] } } },
    ]);
    const stored = storedBatches().slice(before);
    expect(stored).toHaveLength(1);
    expectCanonical(stored[0] ?? Buffer.alloc(0));
    const read = await api.readPartition('format', 0);
    expect(read.map(valueOf).at(-1)).toBe('by stream');
  });
});
