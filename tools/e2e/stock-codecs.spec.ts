/** Batches of every codec, made and read by stock libraries: what a producer may send is stored and given back as it came. */
import { globSync, readFileSync } from 'node:fs';
import { CompressionCodec } from '@partita/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Api } from './api.ts';
import { AppendDoors, DOORS } from './append-doors.ts';
import type { Outcome } from './append-doors.ts';
import { startCluster } from './harness.ts';
import type { Cluster } from './harness.ts';
import { CODECS, freshSession, readBatches, stockBatches, stockFields } from './stock-library.ts';
import type { CodecName, ReadBatch, StockRecord } from './stock-library.ts';

const WIRE_CODEC: Readonly<Record<CodecName, CompressionCodec>> = {
  NONE: CompressionCodec.COMPRESSION_CODEC_NONE,
  ZSTD: CompressionCodec.COMPRESSION_CODEC_ZSTD,
  LZ4: CompressionCodec.COMPRESSION_CODEC_LZ4,
  GZIP: CompressionCodec.COMPRESSION_CODEC_GZIP,
};

let cluster: Cluster;
let api: Api;
let doors: AppendDoors;
let zstdOnly: AppendDoors;

beforeAll(async () => {
  cluster = await startCluster({ brokers: 1 });
  api = new Api(cluster);
  doors = new AppendDoors(cluster, api, await api.createTopic('codecs', 1));
  const settings = { allowedCodecs: [CompressionCodec.COMPRESSION_CODEC_ZSTD] };
  zstdOnly = new AppendDoors(cluster, api, await api.createTopic('zstd-only', 1, settings));
});
afterAll(async () => {
  doors.close();
  zstdOnly.close();
  api.close();
  await cluster.dispose();
});

/** All that a record can have, and enough of the same that compression makes it smaller. */
const RECORDS: readonly StockRecord[] = [
  ...Array.from({ length: 20 }, (_, index) => ({
    key: `key-${index}`,
    value: `value ${index} ${'again and '.repeat(20)}`,
    timestampMs: 1_763_800_000_000 + index,
  })),
  { value: '', headers: [{ name: 'ü', value: 'with a header' }], timestampMs: 1_763_800_000_020 },
  { key: 'gone', timestampMs: 1_763_800_000_021 },
];

function offsetOf(outcome: Outcome): bigint {
  expect(outcome).toMatchObject({ ack: { recordCount: RECORDS.length, fsynced: true, duplicate: false } });
  return 'ack' in outcome && typeof outcome.ack === 'object' ? outcome.ack.baseOffset : -1n;
}

/** The data batches in the partition's only segment file, on the disk of the running broker. */
function onDisk(topicId: string): ReadBatch[] {
  const [dataDir = ''] = cluster.file.brokers.map((broker) => broker.dataDir);
  const [path = ''] = globSync(`${dataDir}/**/${topicId}/0/*.log`);
  return readBatches(readFileSync(path));
}

const at = (batches: readonly ReadBatch[], offset: bigint): ReadBatch | undefined =>
  batches.find(({ fields }) => fields['baseOffset'] === Number(offset));

describe.each(CODECS)('a batch of a stock library with codec %s', (codec) => {
  it.for(DOORS)('is taken by %s, and comes back byte for byte from a fetch and from the file', async (door) => {
    for (const owner of [undefined, freshSession()]) {
      const sent = stockFields(RECORDS, codec, owner);
      const offset = offsetOf(await doors.send(door, stockBatches(sent)));
      for (const stored of [at(await doors.fetch(offset), offset), at(onDisk(doors.topic.topicId), offset)]) {
        expect(stored).toMatchObject({ codec, records: RECORDS });
        // Never compressed anew: what was sent is what lies there.
        expect(stored?.bytes.equals(sent['records'] as Buffer)).toBe(true);
        expect(Buffer.from(stored?.fields['producerId'] as Uint8Array).toString('hex')).toBe(
          Buffer.from(owner?.producerId ?? Buffer.alloc(16)).toString('hex'),
        );
        const { producerEpoch, firstSequence } = stored?.fields ?? {};
        expect([producerEpoch, firstSequence]).toEqual(owner === undefined ? [-1, -1] : [0, 0]);
      }
    }
  });
});

describe('Produce', () => {
  const asWire = RECORDS.map(({ key, value, headers = [], timestampMs = 0 }) => ({
    ...(key === undefined ? {} : { key: Buffer.from(key) }),
    ...(value === undefined ? {} : { value: Buffer.from(value) }),
    headers: headers.map((header) => ({ ...header, value: Buffer.from(header.value) })),
    timestampMs: BigInt(timestampMs),
  }));
  it.for(CODECS)('has the gateway compress with codec %s, which is how the batch is stored', async (codec) => {
    const offset = offsetOf(await doors.produce({ records: asWire, codec: WIRE_CODEC[codec] }));
    for (const stored of [at(await doors.fetch(offset), offset), at(onDisk(doors.topic.topicId), offset)]) {
      expect(stored).toMatchObject({ codec, records: RECORDS });
    }
  });

  it('is refused a codec that the topic does not take, and taken with one that it takes', async () => {
    for (const codec of ['NONE', 'LZ4', 'GZIP'] as const) {
      const outcome = await zstdOnly.produce({ records: asWire, codec: WIRE_CODEC[codec] });
      expect(outcome).toEqual({ reason: 'UNSUPPORTED_CODEC', codec, allowed: 'ZSTD' });
    }
    offsetOf(await zstdOnly.produce({ records: asWire, codec: WIRE_CODEC.ZSTD }));
  });
});

describe('a topic with allowed_codecs', () => {
  it.for(DOORS)('refuses ready batches of other codecs at %s, and stores nothing of them', async (door) => {
    const before = await zstdOnly.standing();
    for (const codec of ['LZ4', 'GZIP'] as const) {
      const outcome = await zstdOnly.send(door, stockBatches(stockFields(RECORDS, codec, freshSession())));
      expect(outcome).toEqual({ reason: 'UNSUPPORTED_CODEC', codec, allowed: 'NONE,ZSTD' });
    }
    expect(await zstdOnly.standing()).toEqual(before);
    offsetOf(await zstdOnly.send(door, stockBatches(stockFields(RECORDS, 'ZSTD', freshSession()))));
    // What compression would not shrink is stored without: a leader always takes that.
    offsetOf(await zstdOnly.send(door, stockBatches(stockFields(RECORDS, 'NONE', freshSession()))));
  });
});
