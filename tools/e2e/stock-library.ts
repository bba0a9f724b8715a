/**
 * Batches as a producer makes them that has the .proto files, protobufjs and a compressor, and nothing of ours but the two
 * checksums: fields that are zero are left out, lengths are short, so nothing is canonical. And the same library reads what
 * is fetched and what lies in a segment file.
 */
import { gzipSync, gunzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { join } from 'node:path';
import { crc32c, keyHash } from '@partita/batch';
import { compressFrameSync, decompressFrameSync } from 'lz4-napi';
import protobuf from 'protobufjs';
import { v7 } from 'uuid';
import { ROOT } from './root.ts';

const root = new protobuf.Root();
root.resolvePath = (_origin, target) => join(ROOT, 'proto', target);
root.loadSync('partita/v1/record.proto', { keepCase: false });
const RecordSet = root.lookupType('partita.v1.RecordSet');
const RecordBatch = root.lookupType('partita.v1.RecordBatch');
const RecordBatches = root.lookupType('partita.v1.RecordBatches');

export const CODECS = ['NONE', 'ZSTD', 'LZ4', 'GZIP'] as const;
export type CodecName = (typeof CODECS)[number];

const COMPRESS: Readonly<Record<CodecName, (bytes: Buffer) => Uint8Array>> = {
  NONE: (bytes) => bytes,
  ZSTD: (bytes) => zstdCompressSync(bytes),
  LZ4: (bytes) => compressFrameSync(bytes),
  GZIP: (bytes) => gzipSync(bytes),
};
const DECOMPRESS: Readonly<Record<CodecName, (bytes: Buffer) => Uint8Array>> = {
  NONE: (bytes) => bytes,
  ZSTD: (bytes) => zstdDecompressSync(bytes),
  LZ4: (bytes) => decompressFrameSync(bytes),
  GZIP: (bytes) => gunzipSync(bytes),
};

/** A record as a user thinks of it. */
export interface StockRecord {
  readonly key?: string;
  /** Absent = tombstone. */
  readonly value?: string;
  readonly headers?: readonly { readonly name: string; readonly value: string }[];
  /** Default: now. */
  readonly timestampMs?: number;
}

/** A producer session, as the header of one batch names it. */
export interface StockSession {
  readonly producerId: Uint8Array;
  readonly producerEpoch: number;
  readonly firstSequence: number;
}

/** The first batch of a new session, whose id says that it was made at the time. */
export function freshSession(msecs = Date.now()): StockSession {
  return { producerId: v7({ msecs }, new Uint8Array(16)), producerEpoch: 0, firstSequence: 0 };
}

/** Fields of a RecordBatch by their names in JSON. A test may bend them; undefined = left out. */
export type StockFields = Readonly<Record<string, number | string | boolean | Uint8Array | undefined>>;

export function compressed(codec: CodecName, bytes: Uint8Array): Uint8Array {
  return COMPRESS[codec](Buffer.from(bytes));
}

/** A serialised RecordSet. */
export function stockRecordSet(records: readonly StockRecord[]): Uint8Array {
  const set = records.map(({ key, value, headers = [], timestampMs = Date.now() }) => ({
    ...(key === undefined ? {} : { key: Buffer.from(key) }),
    ...(value === undefined ? {} : { value: Buffer.from(value) }),
    headers: headers.map((header) => ({ name: header.name, value: Buffer.from(header.value) })),
    timestampMs,
  }));
  return RecordSet.encode(RecordSet.fromObject({ records: set })).finish();
}

/** The fields of a good batch. */
export function stockFields(
  records: readonly StockRecord[],
  codec: CodecName = 'NONE',
  session?: StockSession,
): StockFields {
  const timed = records.map((record) => ({ timestampMs: Date.now(), ...record }));
  const set = stockRecordSet(timed);
  const times = timed.map(({ timestampMs }) => timestampMs);
  const hashes = records.flatMap(({ key }) => (key === undefined ? [] : [keyHash(Buffer.from(key))]));
  return withRecords(
    {
      recordCount: records.length,
      lastOffsetDelta: records.length - 1,
      firstTimestampMs: times[0] ?? 0,
      maxTimestampMs: Math.max(...times),
      uncompressedBytes: set.length,
      minKeyHash: hashes.length === 0 ? 0xffffffff : Math.min(...hashes),
      maxKeyHash: hashes.length === 0 ? 0 : Math.max(...hashes),
      hasTombstones: records.some(({ value }) => value === undefined),
      codec: codec === 'NONE' ? 0 : CODECS.indexOf(codec) + 1,
      ...session,
    },
    compressed(codec, set),
  );
}

/** The fields with other content, whose checksum is right. */
export function withRecords(fields: StockFields, records: Uint8Array): StockFields {
  return { ...fields, records, recordsCrc: crc32c(records) };
}

/** A serialised RecordBatches with one batch; `behind` are bytes inside of the batch, behind its fields. */
export function stockBatches(fields: StockFields, behind: Uint8Array = Buffer.alloc(0)): Buffer {
  const present = Object.fromEntries(Object.entries(fields).filter(([, value]) => !isZero(value)));
  const batch = Buffer.concat([RecordBatch.encode(RecordBatch.fromObject(present)).finish(), behind]);
  return Buffer.concat([new protobuf.Writer().uint32(0x0a).bytes(batch).finish()]);
}

function isZero(value: StockFields[string]): boolean {
  return value === undefined || value === 0 || value === false;
}

/** A batch as the stock library reads it. */
export interface ReadBatch {
  readonly fields: StockFields;
  readonly codec: CodecName;
  /** As stored. */
  readonly bytes: Buffer;
  readonly records: readonly StockRecord[];
}

/** The data batches of a serialised RecordBatches: of a fetch, or of a whole segment file. */
export function readBatches(bytes: Uint8Array): ReadBatch[] {
  const options = { longs: Number, enums: String, defaults: true } as const;
  const { batches } = RecordBatches.toObject(RecordBatches.decode(bytes), options) as { batches: StockFields[] };
  return batches
    .filter(({ type }) => type === 'BATCH_TYPE_DATA')
    .map((fields) => {
      const codec = String(fields['codec']).replace('COMPRESSION_CODEC_', '') as CodecName;
      const stored = Buffer.from(fields['records'] as Uint8Array);
      return { fields, codec, bytes: stored, records: readRecords(DECOMPRESS[codec](stored)) };
    });
}

function readRecords(set: Uint8Array): StockRecord[] {
  const { records } = RecordSet.toObject(RecordSet.decode(set), { longs: Number }) as { records: WireRecord[] };
  return records.map(({ key, value, headers = [], timestampMs = 0 }) => ({
    ...(key === undefined ? {} : { key: text(key) }),
    ...(value === undefined ? {} : { value: text(value) }),
    ...(headers.length === 0 ? {} : { headers: headers.map((header) => ({ ...header, value: text(header.value) })) }),
    timestampMs,
  }));
}

interface WireRecord {
  readonly key?: Uint8Array;
  readonly value?: Uint8Array;
  readonly headers?: readonly { readonly name: string; readonly value: Uint8Array }[];
  readonly timestampMs?: number;
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('utf8');
}
