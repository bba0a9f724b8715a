/**
 * Batches as a client makes them that has nothing but generated code, a CRC-32C and xxHash32: the generated encoder
 * leaves out zeros and writes short lengths, so nothing of it is canonical.
 */
import { crc32c, keyHash } from '@partita/batch';
import {
  BatchType,
  CompressionCodec,
  Record as WireRecord,
  RecordBatch,
  RecordBatches,
  RecordSet,
} from '@partita/protocol';

export interface PlainRecord {
  readonly key?: string;
  readonly value: string;
}

/** The fields of a batch, whose values a test may bend. */
export function stockBatch(records: readonly PlainRecord[], timestampMs = BigInt(Date.now())): RecordBatch {
  const set = RecordSet.encode({
    records: records.map(({ key, value }) =>
      WireRecord.fromPartial({
        ...(key === undefined ? {} : { key: Buffer.from(key) }),
        value: Buffer.from(value),
        timestampMs,
      }),
    ),
  }).finish();
  const hashes = records.flatMap(({ key }) => (key === undefined ? [] : [keyHash(Buffer.from(key))]));
  return RecordBatch.fromPartial({
    recordsCrc: crc32c(set),
    recordCount: records.length,
    lastOffsetDelta: records.length - 1,
    firstTimestampMs: timestampMs,
    maxTimestampMs: timestampMs,
    uncompressedBytes: set.length,
    minKeyHash: hashes.length === 0 ? 0xffffffff : Math.min(...hashes),
    maxKeyHash: hashes.length === 0 ? 0 : Math.max(...hashes),
    codec: CompressionCodec.COMPRESSION_CODEC_UNSPECIFIED,
    type: BatchType.BATCH_TYPE_UNSPECIFIED,
    records: set,
  });
}

/** The bytes of a RecordBatches with one batch. */
export function stockBytes(batch: RecordBatch): Uint8Array<ArrayBuffer> {
  return RecordBatches.encode({ batches: [batch], segment: undefined }).finish();
}

/** The same with bytes behind the batch's own fields, inside it. */
export function stockBytesWith(batch: RecordBatch, extra: Uint8Array): Buffer {
  const inner = Buffer.concat([RecordBatch.encode(batch).finish(), extra]);
  return Buffer.concat([Buffer.from([0x0a]), varint(inner.length), inner]);
}

/** A field of type bytes by hand. */
export function bytesField(number: number, content: Uint8Array): Buffer {
  return Buffer.concat([varint(number * 8 + 2), varint(content.length), content]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Buffer.from([...bytes, rest]);
}
