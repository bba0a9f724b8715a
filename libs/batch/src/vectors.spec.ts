/**
 * The test vectors in ../vectors: what a codec in any language must give, as JSON (bytes in hex, 64-bit numbers as
 * text). `vitest run -u libs/batch` writes them anew; a change there is a change of the format. The compressed
 * batches are kept as they were first made, since another version of a compressor may pack them differently: delete
 * the file to make it anew.
 */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { acceptBatch } from './reframe.ts';
import { BATCH_EPOCH_START, HEADER_BYTES, readBatchHeader } from './batch-header.ts';
import type { BatchCodec, BatchHeader } from './batch-header.ts';
import { buildControlBatch } from './batch-builder.ts';
import { decodeBatch } from './batch-codec.ts';
import { crc32c } from './crc32c.ts';
import { headerSeed, stampBatch, verifyHeaderCrc, verifyRecordsCrc } from './header-checksum.ts';
import { keyHash } from './key-hash.ts';
import { decodeRecordSet, encodeRecordSet } from './record-set.ts';
import type { DecodedRecord, RecordInput } from './record-set.ts';
import { buildBatch, fieldsOf, foreignBatch, isZeroField, PRODUCER_ID, RULES } from './testing/batches.ts';

const TOPIC_ID = '0192f0c1-a2b3-7c4d-8e6f-708192a3b4c5';
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const unhex = (text: string): Buffer => Buffer.from(text, 'hex');
const vectorFile = (name: string): string => fileURLToPath(new URL(`../vectors/${name}.json`, import.meta.url));
const bytesOf = (text: string): Buffer => Buffer.from(text, 'utf8');

function asJson(value: unknown): string {
  return `${JSON.stringify(value, (_, item: unknown) => (typeof item === 'bigint' ? String(item) : item), 2)}\n`;
}

function recordAsData(record: RecordInput): unknown {
  return {
    key: record.key === undefined ? null : hex(record.key),
    value: record.value === undefined ? null : hex(record.value),
    headers: (record.headers ?? []).map(({ name, value }) => ({ name, value: hex(value) })),
    timestamp_ms: String(record.timestampMs),
    traceparent: record.traceparent ?? '',
    tracestate: record.tracestate ?? '',
    offset_delta: record.offsetDelta ?? null,
  };
}

function headerAsData(header: BatchHeader): unknown {
  const { producerId, ...rest } = header;
  return JSON.parse(asJson({ ...rest, producerId: hex(producerId) }));
}

const TRACE = {
  traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  tracestate: 'vendor=opaque',
};
const RECORDS: Record<string, RecordInput[]> = {
  'one record': [{ key: bytesOf('ATL'), value: bytesOf('{"delay":7}'), timestampMs: 980_000_000_000n }],
  'neither key nor value, time 0': [{ timestampMs: 0n }],
  'empty key and value': [{ key: bytesOf(''), value: bytesOf(''), timestampMs: 1n }],
  tombstone: [{ key: bytesOf('ATL'), timestampMs: 1n }],
  'headers and trace': [
    {
      key: bytesOf('k'),
      value: bytesOf('v'),
      headers: [
        { name: 'b', value: unhex('00ff') },
        { name: 'a', value: bytesOf('') },
        { name: 'b', value: bytesOf('ü') },
      ],
      timestampMs: 1_763_800_000_000n,
      ...TRACE,
    },
  ],
  'holes after compaction': [
    { key: bytesOf('a'), value: bytesOf('1'), timestampMs: 1n, offsetDelta: 0 },
    { key: bytesOf('b'), value: bytesOf('2'), timestampMs: 2n, offsetDelta: 300 },
  ],
  'lengths of two and three bytes': [
    { value: Buffer.alloc(130, 1), timestampMs: 2n ** 53n },
    { value: Buffer.alloc(16_400, 2), timestampMs: 2n ** 63n - 1n },
  ],
};
const BATCH_RECORDS: RecordInput[] = Array.from({ length: 20 }, (_, i) => ({
  key: bytesOf(['ATL', 'ORD', 'DFW'][i % 3] as string),
  value: i === 11 ? undefined : bytesOf(`{"flight":${i},"origin":"${['ATL', 'ORD', 'DFW'][i % 3] as string}"}`),
  timestampMs: 980_000_000_000n + BigInt((i * 7) % 20),
}));
const SESSION = { producerId: PRODUCER_ID, producerEpoch: 2, firstSequence: 4_294_967_296n };

interface BatchVector {
  readonly name: string;
  readonly topic_id: string;
  readonly partition: number;
  readonly header_seed: number;
  readonly header: Record<string, unknown>;
  readonly records: unknown;
  readonly produced: string;
  readonly foreign: string;
  readonly stamped: string;
}

/** A batch as produced, in the shortest foreign form (zeros left out, lengths unpadded), and as the leader stamped it. */
function batchVector(name: string, produced: Buffer): unknown {
  const partition = 3;
  const seed = headerSeed(TOPIC_ID, partition);
  const stamped = Buffer.from(produced);
  stampBatch(stamped, { baseOffset: 2n ** 33n, leaderEpoch: 5, appendTimeMs: 1_763_800_000_123n }, seed);
  const fields = fieldsOf(produced, readBatchHeader(produced));
  return {
    name,
    topic_id: TOPIC_ID,
    partition,
    header_seed: seed,
    header: headerAsData(readBatchHeader(stamped)),
    records: decodeBatch(produced).records.map(recordAsData),
    produced: hex(produced),
    foreign: hex(foreignBatch(fields.filter((encoded, i) => !isZeroField(encoded, i + 1)))),
    stamped: hex(stamped),
  };
}

function compressedVectors(): unknown[] {
  return [2, 3, 4].map((codec) =>
    batchVector(`codec ${codec}`, buildBatch(BATCH_RECORDS, codec as BatchCodec, SESSION)),
  );
}

describe('the vectors are what this library writes', () => {
  it('crc32c', async () => {
    const inputs = [
      '',
      hex(bytesOf('123456789')),
      '00'.repeat(32),
      'ff'.repeat(32),
      hex(Uint8Array.from({ length: 32 }, (_, i) => i)),
    ];
    const vectors = inputs.map((input) => ({ input, seed: 0, crc: crc32c(unhex(input)) }));
    const continued = { input: hex(bytesOf('56789')), seed: crc32c(bytesOf('1234')), crc: 0xe3069283 };
    await expect(asJson([...vectors, continued])).toMatchFileSnapshot(vectorFile('crc32c'));
  });

  it('key hashes', async () => {
    const keys = ['', 'a', 'abc', 'ATL', 'ключ', 'x'.repeat(15), 'x'.repeat(16), 'x'.repeat(1000)].map(bytesOf);
    const vectors = [...keys, unhex('00'), unhex('ff00ff00')].map((key) => ({ key: hex(key), hash: keyHash(key) }));
    await expect(asJson(vectors)).toMatchFileSnapshot(vectorFile('key-hash'));
  });

  it('record sets', async () => {
    const vectors = Object.entries(RECORDS).map(([name, records]) => ({
      name,
      records: records.map(recordAsData),
      bytes: hex(encodeRecordSet(records)),
    }));
    await expect(asJson(vectors)).toMatchFileSnapshot(vectorFile('record-sets'));
  });

  it('batches', async () => {
    const vectors = [
      batchVector('plain', buildBatch(BATCH_RECORDS)),
      batchVector('of a producer session', buildBatch(BATCH_RECORDS, 1, SESSION)),
      batchVector('without keys', buildBatch([{ value: bytesOf('v'), timestampMs: 1n }])),
      batchVector('control', buildControlBatch(BATCH_EPOCH_START, unhex('0801'), 1n)),
    ];
    await expect(asJson(vectors)).toMatchFileSnapshot(vectorFile('batches'));
  });

  it('compressed batches, when there are none yet', async () => {
    const file = vectorFile('compressed-batches');
    if (!existsSync(file)) await expect(asJson(compressedVectors())).toMatchFileSnapshot(file);
  });
});

function read<T>(name: string): T[] {
  return JSON.parse(readFileSync(vectorFile(name), 'utf8')) as T[];
}

describe('the vectors are read', () => {
  it('with the published values of CRC-32C (RFC 3720) and xxHash32', () => {
    const crcs = read<{ input: string; seed: number; crc: number }>('crc32c');
    for (const { input, seed, crc } of crcs) expect(crc32c(unhex(input), seed)).toBe(crc);
    expect(crcs.map(({ crc }) => crc)).toEqual([0, 0xe3069283, 0x8a9136aa, 0x62a8ab43, 0x46dd794e, 0xe3069283]);
    const hashes = read<{ key: string; hash: number }>('key-hash');
    for (const { key, hash } of hashes) expect(keyHash(unhex(key))).toBe(hash);
    expect(hashes.slice(0, 3).map(({ hash }) => hash)).toEqual([0x02cc5d05, 0x550d7456, 0x32d153ff]);
  });

  it('record sets', () => {
    for (const { bytes, records } of read<{ bytes: string; records: unknown }>('record-sets')) {
      expect(decodeRecordSet(unhex(bytes)).map(recordAsData)).toEqual(records);
    }
  });

  it('batches, compressed ones too, in both forms', () => {
    const vectors = [...read<BatchVector>('batches'), ...read<BatchVector>('compressed-batches')];
    expect(vectors).toHaveLength(7);
    for (const vector of vectors) {
      const [produced, stamped] = [unhex(vector.produced), unhex(vector.stamped)];
      const rules = { ...RULES, allowControl: true };
      expect(acceptBatch(unhex(vector.foreign), rules).equals(produced)).toBe(true);
      expect(acceptBatch(Buffer.from(produced), rules).equals(produced)).toBe(true);
      expect(headerSeed(vector.topic_id, vector.partition)).toBe(vector.header_seed);
      expect(verifyHeaderCrc(stamped, 0, vector.header_seed)).toBe(true);
      expect(verifyRecordsCrc(stamped, 0)).toBe(true);
      expect(stamped.subarray(33).equals(produced.subarray(33))).toBe(true);
      const { header, records } = decodeBatch(stamped);
      expect(headerAsData(header)).toEqual(vector.header);
      expect(records.map((record: DecodedRecord) => recordAsData(record))).toEqual(vector.records);
      expect(header.batchBytes).toBe(HEADER_BYTES + header.recordsBytes);
    }
  });
});
