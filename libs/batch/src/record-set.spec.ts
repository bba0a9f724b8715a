import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkRecord } from './check-record.ts';
import { decodeRecordSet, encodeRecordSet, recordBytes } from './record-set.ts';
import type { RecordInput } from './record-set.ts';
import { arbitraryRecord } from './testing/batches.ts';
import { reasonOf } from './testing/reason-of.ts';

const LIMITS = { recordBytesMax: 1 << 20, timestampMsMax: 1000 };

describe('a record set', () => {
  it('gives back what was put in, and the same bytes when it is encoded again', () => {
    const anyInt64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
    const records = fc.array(
      fc
        .tuple(arbitraryRecord, anyInt64, fc.option(fc.nat(), { nil: undefined }))
        .map(([record, timestampMs, offsetDelta]): RecordInput => ({ ...record, timestampMs, offsetDelta })),
    );
    fc.assert(
      fc.property(records, (input) => {
        const bytes = encodeRecordSet(input);
        const output = decodeRecordSet(bytes, 1000n);
        expect(output).toHaveLength(input.length);
        output.forEach((record, index) => {
          const { offset, ...rest } = record;
          expect(plain(rest)).toEqual(plain(input[index] as RecordInput));
          expect(offset).toBe(1000n + BigInt(record.offsetDelta ?? index));
        });
        expect(encodeRecordSet(output).equals(bytes)).toBe(true);
      }),
    );
  });

  it('tells an absent key from an empty one and a tombstone from an empty value', () => {
    const input: RecordInput[] = [
      { timestampMs: 0n },
      { key: Buffer.alloc(0), timestampMs: 0n },
      { value: Buffer.alloc(0), timestampMs: 0n },
    ];
    const bytes = encodeRecordSet(input);
    expect(bytes.toString('hex')).toBe('0a000a020a000a021200');
    const [none, emptyKey, emptyValue] = decodeRecordSet(bytes);
    expect([none?.key, none?.value]).toEqual([undefined, undefined]);
    expect([emptyKey?.key?.length, emptyKey?.value]).toEqual([0, undefined]);
    expect([emptyValue?.key, emptyValue?.value?.length]).toEqual([undefined, 0]);
  });

  it('keeps the order of headers, names that repeat and texts beyond ASCII', () => {
    const headers = ['b', 'a', 'b', 'ключ', '🎼'].map((name, i) => ({ name, value: Uint8Array.of(i) }));
    const [record] = decodeRecordSet(encodeRecordSet([{ headers, timestampMs: 5n }]));
    expect(record?.headers.map(({ name, value }) => [name, value[0]])).toEqual(headers.map(({ name }, i) => [name, i]));
  });

  it('makes views, not copies', () => {
    const bytes = encodeRecordSet([{ value: Buffer.from('abc'), timestampMs: 0n }]);
    const [record] = decodeRecordSet(bytes);
    bytes.fill(0x7a);
    expect(Buffer.from(record?.value ?? []).toString()).toBe('zzz');
  });

  it('skips fields of newer producers', () => {
    const set = Buffer.from('0a0a12016b7a027878c03e0712017a', 'hex');
    expect(decodeRecordSet(set).map((record) => Buffer.from(record.value ?? []).toString())).toEqual(['k']);
  });

  it('refuses bytes that no protobuf parser reads', () => {
    const cases: Record<string, string> = {
      '0a': 'cut in a length',
      '0a05': 'length passes the end',
      '0a0212': 'length passes the set',
      '0a041a020a05': 'length passes the record',
      '0a0320ff': 'varint cut',
      '0a0c20ffffffffffffffffffff01': 'varint of 11 bytes',
      '0a020b0c': 'a group',
      '00': 'field 0',
      '0a032a01ff': 'text that is not UTF-8',
      '0a0c38ffffffffffffffffff01': 'negative offset_delta',
    };
    for (const [hex, what] of Object.entries(cases)) {
      expect([what, reasonOf(() => decodeRecordSet(Buffer.from(hex, 'hex')))]).toEqual([what, 'MALFORMED_MESSAGE']);
    }
  });

  it('accepts U+FFFD itself in a text', () => {
    const [record] = decodeRecordSet(encodeRecordSet([{ tracestate: 'a\ufffdb', timestampMs: 0n }]));
    expect(record?.tracestate).toBe('a\ufffdb');
  });

  it('stops at the limits of records and headers before they fill the memory', () => {
    expect(reasonOf(() => decodeRecordSet(Buffer.alloc(200_002).map((_, i) => (i % 2 === 0 ? 0x0a : 0))))).toBe(
      'BATCH_TOO_LARGE',
    );
    const header = { name: 'n', value: Buffer.alloc(0) };
    const record = { headers: Array.from({ length: 129 }, () => header), timestampMs: 0n };
    expect(reasonOf(() => decodeRecordSet(encodeRecordSet([record])))).toBe('RECORD_TOO_LARGE');
  });

  it('throws nothing but PartitaError for arbitrary bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        reasonOf(() => decodeRecordSet(bytes));
      }),
      { numRuns: 3000 },
    );
  });
});

describe('checkRecord', () => {
  const h = (name: string, bytes = 0): { name: string; value: Uint8Array } => ({ name, value: Buffer.alloc(bytes) });

  it('returns the size of the serialised record', () => {
    fc.assert(
      fc.property(arbitraryRecord, (record) => {
        const size = recordBytes(record);
        expect(checkRecord(record, { recordBytesMax: 1 << 20, timestampMsMax: Infinity })).toBe(size);
        const lengthBytes = size < 128 ? 1 : size < 16384 ? 2 : 3;
        expect(encodeRecordSet([record]).length).toBe(1 + lengthBytes + size);
      }),
    );
  });

  it('refuses each limit with size and limit in the error', () => {
    const cases: [RecordInput, 'bytes' | 'headers' | 'chars', string, string][] = [
      [{ value: Buffer.alloc(1 << 20), timestampMs: 0n }, 'bytes', '1048580', '1048576'],
      [{ headers: Array.from({ length: 129 }, () => h('a')), timestampMs: 0n }, 'headers', '129', '128'],
      [{ headers: [h('x'.repeat(256))], timestampMs: 0n }, 'bytes', '256', '255'],
      [{ headers: [h('é'.repeat(128))], timestampMs: 0n }, 'bytes', '256', '255'],
      [{ headers: [h('a', 65535), h('b')], timestampMs: 0n }, 'bytes', '65537', '65536'],
      [{ traceparent: 'x'.repeat(56), timestampMs: 0n }, 'chars', '56', '55'],
      [{ tracestate: 'x'.repeat(513), timestampMs: 0n }, 'chars', '513', '512'],
    ];
    for (const [record, measure, size, limit] of cases) {
      expect(() => checkRecord(record, LIMITS)).toThrow(
        expect.objectContaining({ reason: 'RECORD_TOO_LARGE', metadata: { [measure]: size, limit } }) as Error,
      );
    }
  });

  it('refuses nameless headers and times that cannot be', () => {
    expect(reasonOf(() => checkRecord({ headers: [h('')], timestampMs: 0n }, LIMITS))).toBe('INVALID_BATCH');
    for (const timestampMs of [-1n, 1001n, 2n ** 63n]) {
      expect(reasonOf(() => checkRecord({ timestampMs }, LIMITS))).toBe('INVALID_TIMESTAMP');
    }
    expect(reasonOf(() => checkRecord({ timestampMs: 1000n }, LIMITS))).toBeUndefined();
  });

  it('wants a key for a tombstone on a compacted topic only', () => {
    const compacted = { ...LIMITS, compacted: true };
    expect(reasonOf(() => checkRecord({ timestampMs: 0n }, compacted))).toBe('INVALID_BATCH');
    expect(reasonOf(() => checkRecord({ timestampMs: 0n }, LIMITS))).toBeUndefined();
    expect(reasonOf(() => checkRecord({ key: Buffer.alloc(0), timestampMs: 0n }, compacted))).toBeUndefined();
  });
});

/** Bytes as Buffers and absent texts as empty, so that only content is compared. */
function plain(record: RecordInput): unknown {
  return {
    key: record.key && Buffer.from(record.key),
    value: record.value && Buffer.from(record.value),
    headers: (record.headers ?? []).map(({ name, value }) => [name, Buffer.from(value)]),
    timestampMs: record.timestampMs,
    traceparent: record.traceparent ?? '',
    tracestate: record.tracestate ?? '',
    offsetDelta: record.offsetDelta,
  };
}
