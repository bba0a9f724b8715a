/** Arbitrary records and batches, and foreign encodings of a batch, for the specs of this library. */
import fc from 'fast-check';
import { BatchBuilder } from '../batch-builder.ts';
import type { BatchCodec, BatchHeader } from '../batch-header.ts';
import type { AcceptRules } from '../accept-rules.ts';
import { recordsAt } from '../header-access.ts';
import type { RecordInput } from '../record-set.ts';
import { putVarint } from '../wire-writer.ts';

export const WALL_MS = 1_763_800_000_000;

/** Rules that take every batch of arbitraryBatch(). */
export const RULES: AcceptRules = { recordBytesMax: 1 << 20, wallMs: WALL_MS, timestampFutureMsMax: 3_600_000 };

export const arbitraryBytes = fc.uint8Array({ maxLength: 300 });

export const arbitraryRecord: fc.Arbitrary<RecordInput> = fc.record({
  key: fc.option(arbitraryBytes, { nil: undefined }),
  value: fc.option(arbitraryBytes, { nil: undefined }),
  headers: fc.array(
    fc.record({ name: fc.string({ minLength: 1, maxLength: 40, unit: 'grapheme' }), value: arbitraryBytes }),
    {
      maxLength: 3,
    },
  ),
  timestampMs: fc.bigInt({ min: 0n, max: BigInt(WALL_MS) }),
  traceparent: fc.constantFrom('', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'),
  tracestate: fc.constantFrom('', 'vendor=ünï'),
});

export const arbitraryCodec = fc.constantFrom<BatchCodec>(1, 2, 3, 4);

/** A canonical data batch, unstamped, with or without a producer. */
export const arbitraryBatch: fc.Arbitrary<Buffer> = fc
  .record({
    records: fc.array(arbitraryRecord, { minLength: 1, maxLength: 12 }),
    codec: arbitraryCodec,
    producer: fc.boolean(),
  })
  .map(({ records, codec, producer }) =>
    buildBatch(records, codec, producer ? { producerId: PRODUCER_ID, producerEpoch: 3, firstSequence: 700n } : {}),
  );

export const PRODUCER_ID = Buffer.from('0192f0c1a2b3c4d5e6f708192a3b4c5d', 'hex');

/** The records as one canonical batch. */
export function buildBatch(
  records: readonly RecordInput[],
  codec: BatchCodec = 1,
  producer: { producerId?: Uint8Array; producerEpoch?: number; firstSequence?: bigint } = {},
): Buffer {
  const builder = new BatchBuilder();
  for (const record of records) builder.tryAdd(record);
  return builder.build({ codec, ...producer });
}

function varint(value: number): Buffer {
  const out = Buffer.alloc(10);
  return out.subarray(0, putVarint(out, 0, value));
}

function field(number: number, wireType: number, content: Uint8Array): Buffer {
  const length = wireType === 2 ? varint(content.length) : Buffer.alloc(0);
  return Buffer.concat([varint(number * 8 + wireType), length, content]);
}

function fixed32(number: number, value: number): Buffer {
  const content = Buffer.alloc(4);
  content.writeInt32LE(value | 0);
  return field(number, 5, content);
}

function fixed64(number: number, value: bigint): Buffer {
  const content = Buffer.alloc(8);
  content.writeBigInt64LE(value);
  return field(number, 1, content);
}

/** The 19 fields of a batch, each encoded as protobuf libraries do, zeros included, by field number - 1. */
export function batchFields(header: BatchHeader, records: Uint8Array): Buffer[] {
  return [
    fixed64(1, header.baseOffset),
    fixed32(2, header.leaderEpoch),
    fixed64(3, header.appendTimeMs),
    fixed32(4, header.headerCrc),
    fixed32(5, header.recordsCrc),
    fixed32(6, header.recordCount),
    fixed32(7, header.lastOffsetDelta),
    fixed64(8, header.firstTimestampMs),
    fixed64(9, header.maxTimestampMs),
    fixed32(10, header.uncompressedBytes),
    field(11, 2, header.producerId),
    fixed32(12, header.producerEpoch),
    fixed64(13, header.firstSequence),
    fixed32(14, header.minKeyHash),
    fixed32(15, header.maxKeyHash),
    field(16, 0, varint(header.codec)),
    field(17, 0, varint(header.type)),
    field(18, 0, varint(header.hasTombstones ? 1 : 0)),
    field(19, 2, records),
  ];
}

/** True for an encoded field that a generated client leaves out: its value is zero. */
export function isZeroField(encoded: Buffer, number: number): boolean {
  const tagBytes = number < 16 ? 1 : 2;
  return number !== 11 && encoded.subarray(tagBytes).every((byte) => byte === 0);
}

/** Frames encoded fields as a RecordBatches with one batch, length unpadded. */
export function foreignBatch(fields: readonly Uint8Array[]): Buffer {
  return field(1, 2, Buffer.concat(fields));
}

/** The canonical `batch` as fields, with changes to its header. */
export function fieldsOf(batch: Buffer, header: BatchHeader, changes: Partial<BatchHeader> = {}): Buffer[] {
  return batchFields({ ...header, ...changes }, recordsAt(batch, 0));
}
