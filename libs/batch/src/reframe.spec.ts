import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PartitaError } from '@partita/domain';
import type { AcceptRules } from './accept-rules.ts';
import { buildControlBatch } from './batch-builder.ts';
import { BATCH_CONFIG, BATCH_EPOCH_START, HEADER_BYTES, readBatchHeader } from './batch-header.ts';
import type { BatchCodec, BatchHeader, BatchType } from './batch-header.ts';
import { crc32c } from './crc32c.ts';
import { acceptBatch } from './reframe.ts';
import {
  arbitraryBatch,
  buildBatch,
  fieldsOf,
  foreignBatch,
  isZeroField,
  PRODUCER_ID,
  RULES,
  WALL_MS,
} from './testing/batches.ts';
import { reasonOf } from './testing/reason-of.ts';

const record = { key: Buffer.from('key'), value: Buffer.from('value'), timestampMs: 1n };
const batch = buildBatch([record, record]);
const header = readBatchHeader(batch);

/** The sample batch in foreign form with changes to its header. */
function changed(changes: Partial<BatchHeader>): Buffer {
  return foreignBatch(fieldsOf(batch, header, changes));
}

function refusal(bytes: Uint8Array, rules: AcceptRules = RULES): PartitaError {
  try {
    acceptBatch(bytes, rules);
  } catch (error) {
    if (error instanceof PartitaError) return error;
    throw error;
  }
  throw new Error('the batch was accepted');
}

describe('acceptBatch', () => {
  it('returns canonical batches as they are, in the same memory', () => {
    fc.assert(
      fc.property(arbitraryBatch, (canonical) => {
        const before = Buffer.from(canonical);
        const accepted = acceptBatch(canonical, RULES);
        expect(accepted.equals(before)).toBe(true);
        expect(accepted.buffer).toBe(canonical.buffer);
        expect(accepted.byteOffset).toBe(canonical.byteOffset);
      }),
    );
  });

  it('gives the same canonical bytes for any order of fields, with or without zeros, with unpadded lengths', () => {
    const order = fc.array(fc.nat(1000), { minLength: 19, maxLength: 19 });
    fc.assert(
      fc.property(arbitraryBatch, order, fc.boolean(), (canonical, keys, omitZeros) => {
        const fields = fieldsOf(canonical, readBatchHeader(canonical))
          .map((encoded, i) => ({ encoded, number: i + 1, sort: keys[i] as number }))
          .filter(({ encoded, number }) => !omitZeros || !isZeroField(encoded, number))
          .sort((a, b) => a.sort - b.sort)
          .map(({ encoded }) => encoded);
        expect(acceptBatch(foreignBatch(fields), RULES).equals(canonical)).toBe(true);
      }),
    );
  });

  it('reads UNSPECIFIED codec and type as NONE and DATA, and no producer as epoch and sequence -1', () => {
    const kind = { codec: 0 as BatchCodec, type: 0 as BatchType };
    const fields = fieldsOf(batch, header, {
      ...kind,
      producerId: new Uint8Array(0),
      producerEpoch: 0,
      firstSequence: 0n,
    });
    expect(acceptBatch(foreignBatch(fields), RULES).equals(batch)).toBe(true);
    const withoutZeros = fields.filter((encoded, i) => i !== 10 && !isZeroField(encoded, i + 1));
    expect(acceptBatch(foreignBatch(withoutZeros), RULES).equals(batch)).toBe(true);
    const zeroed = Buffer.from(batch);
    zeroed.fill(0, 90, 94).fill(0, 95, 103);
    expect(acceptBatch(zeroed, RULES).equals(batch)).toBe(true);
  });

  it('takes a batch of a producer session as it is', () => {
    const session = buildBatch([record], 1, { producerId: PRODUCER_ID, producerEpoch: 0, firstSequence: 0n });
    expect(readBatchHeader(acceptBatch(session, RULES))).toMatchObject({ producerEpoch: 0, firstSequence: 0n });
  });

  it('takes control batches only where they are allowed', () => {
    for (const type of [BATCH_EPOCH_START, BATCH_CONFIG] as const) {
      const control = buildControlBatch(type, Buffer.from([1]));
      expect(refusal(control).reason).toBe('INVALID_BATCH');
      expect(acceptBatch(control, { ...RULES, allowControl: true }).equals(control)).toBe(true);
      const packed = foreignBatch(fieldsOf(control, readBatchHeader(control), { codec: 2 }));
      expect(refusal(packed, { ...RULES, allowControl: true }).reason).toBe('INVALID_BATCH');
    }
  });
});

describe('acceptBatch refuses', () => {
  const fields = fieldsOf(batch, header);

  it('what is not exactly one batch', () => {
    const cases: Record<string, Buffer> = {
      nothing: Buffer.alloc(0),
      'two canonical batches': Buffer.concat([batch, batch]),
      'two foreign batches': Buffer.concat([foreignBatch(fields), foreignBatch(fields)]),
      'a byte behind the batch': Buffer.concat([batch, Buffer.from([0])]),
      'a segment header behind it': Buffer.concat([batch, Buffer.from('1200', 'hex')]),
      'a segment header in front': Buffer.concat([Buffer.from('1200', 'hex'), batch]),
      'an unknown field instead': Buffer.from('1a00', 'hex'),
    };
    for (const [what, bytes] of Object.entries(cases)) {
      expect([what, refusal(bytes).reason]).toEqual([what, 'INVALID_BATCH']);
    }
  });

  it('a second occurrence of any field, equal or not', () => {
    for (const [i, encoded] of fields.entries()) {
      expect(refusal(foreignBatch([...fields, encoded])).metadata).toMatchObject({ field: String(i + 1) });
    }
  });

  it('unknown fields and known ones of another type', () => {
    for (const [hex, field] of [
      ['a0010a', '20'], // field 20
      ['80800101', '2048'], // field 2048
      ['0801', '1'], // base_offset as a varint
      ['aa0100', '21'],
      ['7a00', '15'], // max_key_hash as bytes
    ] as const) {
      const error = refusal(foreignBatch([...fields.slice(1, 14), Buffer.from(hex, 'hex'), ...fields.slice(15)]));
      expect([error.reason, error.metadata['field']]).toEqual(['INVALID_BATCH', field]);
    }
  });

  it('bytes behind the records that the length of a canonical batch takes in', () => {
    const longer = Buffer.concat([batch, Buffer.from('a00100', 'hex')]);
    longer[1] = (longer[1] as number) + 3;
    expect(refusal(longer).metadata).toMatchObject({
      field: '20',
      rule: 'field 20 of the batch is unknown, or has another type',
    });
    for (const hex of ['00', '07', 'ffffffffffffffffffffff']) {
      const tail = Buffer.from(hex, 'hex');
      expect([hex, refusal(foreignBatch([...fields, tail])).reason]).toEqual([hex, 'INVALID_BATCH']);
    }
  });

  it('bytes that are no protobuf', () => {
    for (const hex of ['0a', '0a05', '0affffffffffffffffffff01', '0a0100', '0a02090a', '0a029a01', '07', '00']) {
      expect([hex, refusal(Buffer.from(hex, 'hex')).reason]).toEqual([hex, 'MALFORMED_MESSAGE']);
    }
    expect(refusal(batch.subarray(0, batch.length - 1)).reason).toBe('MALFORMED_MESSAGE');
  });

  it('enum values that do not exist', () => {
    expect(refusal(changed({ codec: 9 as BatchCodec })).reason).toBe('UNSUPPORTED_CODEC');
    expect(refusal(changed({ type: 9 as BatchType })).reason).toBe('INVALID_BATCH');
    const canonical = Buffer.from(batch);
    canonical[115] = 9;
    expect(refusal(canonical).reason).toBe('UNSUPPORTED_CODEC');
    const negative = Buffer.from('8001ffffffffffffffffff01', 'hex');
    expect(refusal(foreignBatch([...fields.slice(0, 15), negative, ...fields.slice(16)])).reason).toBe(
      'UNSUPPORTED_CODEC',
    );
  });

  it('codecs that the topic does not take', () => {
    expect(refusal(batch, { ...RULES, codecs: [2, 3] }).metadata).toEqual({
      codec: 'NONE',
      allowed: 'ZSTD,LZ4',
    });
    expect(acceptBatch(batch, { ...RULES, codecs: [1] }).length).toBe(batch.length);
  });

  it('headers that contradict themselves', () => {
    const single = buildBatch([record]);
    const singleHeader = readBatchHeader(single);
    const cases: Partial<BatchHeader>[] = [
      { recordCount: 0, lastOffsetDelta: -1 },
      { recordCount: -1, lastOffsetDelta: -2 },
      { recordCount: 3 },
      { lastOffsetDelta: 2 },
      { uncompressedBytes: header.uncompressedBytes + 1 },
      { uncompressedBytes: -1, codec: 4 },
      { uncompressedBytes: 3, codec: 4 },
      { producerId: Buffer.alloc(15, 1) },
      { producerId: Buffer.alloc(17, 1) },
      { producerEpoch: 1 },
      { firstSequence: 5n },
      { firstSequence: -2n },
      { producerEpoch: -2 },
      { producerId: PRODUCER_ID },
      { producerId: PRODUCER_ID, producerEpoch: 0, firstSequence: -1n },
      { producerId: PRODUCER_ID, producerEpoch: -1, firstSequence: 0n },
      { producerId: PRODUCER_ID, producerEpoch: 0, firstSequence: 2n ** 63n - 2n },
      { firstTimestampMs: 2n, maxTimestampMs: 1n },
    ];
    for (const changes of cases) {
      expect([changes, refusal(changed(changes)).reason]).toEqual([changes, 'INVALID_BATCH']);
    }
    const twoHashes = { minKeyHash: 1, maxKeyHash: 2 };
    expect(refusal(foreignBatch(fieldsOf(single, singleHeader, twoHashes))).reason).toBe('INVALID_BATCH');
    expect(refusal(foreignBatch(fields.slice(0, 18))).reason).toBe('INVALID_BATCH');
  });

  it('records that do not have their checksum', () => {
    expect(refusal(changed({ recordsCrc: header.recordsCrc ^ 1 })).reason).toBe('CHECKSUM_MISMATCH');
    const damaged = Buffer.from(batch);
    damaged[HEADER_BYTES] = 0;
    expect(refusal(damaged).reason).toBe('CHECKSUM_MISMATCH');
  });

  it('sizes above the limits, naming size and limit', () => {
    const records = Buffer.alloc((2 << 20) - 127);
    const large = [
      ...fields.slice(0, 18),
      Buffer.concat([Buffer.from('9a01', 'hex'), Buffer.from([0x81, 0xff, 0x7f]), records]),
    ];
    const [bytes, limit] = ['2097153', '2097152'];
    expect(refusal(foreignBatch(large))).toMatchObject({ reason: 'BATCH_TOO_LARGE', metadata: { bytes, limit } });
    expect(refusal(changed({ recordCount: 100_001, lastOffsetDelta: 100_000 }))).toMatchObject({
      reason: 'BATCH_TOO_LARGE',
      metadata: { records: '100001', limit: '100000' },
    });
    expect(refusal(changed({ uncompressedBytes: (16 << 20) + 1, codec: 2 }))).toMatchObject({
      reason: 'BATCH_TOO_LARGE',
      metadata: { bytes: '16777217', limit: '16777216' },
    });
    expect(
      refusal(buildBatch([{ value: Buffer.alloc(1000), timestampMs: 1n }]), { ...RULES, recordBytesMax: 900 }),
    ).toMatchObject({
      reason: 'RECORD_TOO_LARGE',
      metadata: { limit: '900' },
    });
  });

  it('what is larger than any batch, before it is parsed', () => {
    const bytes = Buffer.alloc((2 << 20) + 1025, 0xff);
    const metadata = { bytes: String(bytes.length), limit: '2097152' };
    expect(refusal(bytes)).toMatchObject({ reason: 'BATCH_TOO_LARGE', metadata });
    expect(refusal(bytes.subarray(1)).reason).toBe('MALFORMED_MESSAGE');
  });

  it('a canonical batch above the limit', () => {
    const set = Buffer.alloc(2 << 20);
    const large = Buffer.concat([batch.subarray(0, HEADER_BYTES), set]);
    const length = (value: number): number[] =>
      [value | 128, (value >>> 7) | 128, (value >>> 14) | 128, value >>> 21].map((b) => b & 0xff);
    large.set(length(set.length + 123), 1);
    large.set(length(set.length), 124);
    expect(refusal(large).reason).toBe('BATCH_TOO_LARGE');
  });

  it('times before 1970 and further ahead than the topic allows', () => {
    const last = BigInt(WALL_MS + 3_600_000);
    expect(acceptBatch(changed({ maxTimestampMs: last }), RULES).length).toBe(batch.length);
    expect(refusal(changed({ maxTimestampMs: last + 1n })).reason).toBe('INVALID_TIMESTAMP');
    expect(refusal(changed({ firstTimestampMs: -1n })).reason).toBe('INVALID_TIMESTAMP');
    const any = { ...RULES, timestampFutureMsMax: Infinity };
    expect(acceptBatch(changed({ maxTimestampMs: 2n ** 62n }), any).length).toBe(batch.length);
  });
});

describe('acceptBatch on damaged input', () => {
  it('throws nothing but PartitaError, and what it accepts is canonical and passes again', () => {
    const mutations = fc.array(fc.tuple(fc.constantFrom('set', 'cut', 'insert', 'drop'), fc.nat(), fc.nat(255)), {
      maxLength: 4,
    });
    let accepted = 0;
    fc.assert(
      fc.property(arbitraryBatch, fc.boolean(), mutations, (canonical, foreign, changes) => {
        let bytes = foreign ? foreignBatch(fieldsOf(canonical, readBatchHeader(canonical))) : Buffer.from(canonical);
        for (const [kind, place, byte] of changes) bytes = mutate(bytes, kind, place, byte);
        const reason = reasonOf(() => {
          const batchBytes = acceptBatch(bytes, RULES);
          expect(readBatchHeader(batchBytes).batchBytes).toBe(batchBytes.length);
          expect(crc32c(batchBytes.subarray(HEADER_BYTES))).toBe(readBatchHeader(batchBytes).recordsCrc);
          expect(acceptBatch(Buffer.from(batchBytes), RULES).equals(batchBytes)).toBe(true);
        });
        if (reason === undefined) accepted++;
      }),
      { numRuns: 3000 },
    );
    expect(accepted).toBeGreaterThan(300);
  });

  it('throws nothing but PartitaError for arbitrary bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        reasonOf(() => acceptBatch(bytes, RULES));
        reasonOf(() => acceptBatch(foreignBatch([bytes]), RULES));
      }),
      { numRuns: 3000 },
    );
  });
});

function mutate(bytes: Buffer, kind: string, place: number, byte: number): Buffer {
  const at = bytes.length === 0 ? 0 : place % bytes.length;
  if (kind === 'cut') return bytes.subarray(0, at);
  if (kind === 'drop') return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1)]);
  if (kind === 'insert') return Buffer.concat([bytes.subarray(0, at), Buffer.from([byte]), bytes.subarray(at)]);
  const out = Buffer.from(bytes);
  if (out.length > 0) out[at] = byte;
  return out;
}
