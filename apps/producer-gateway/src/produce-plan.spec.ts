import { PartitaError } from '@partita/domain';
import type { ErrorReason } from '@partita/domain';
import { CompressionCodec, ProduceRequest } from '@partita/protocol';
import { describe, expect, it } from 'vitest';
import { PartitionChooser } from '@partita/client';
import { checkRequest, planRequest } from './produce-plan.ts';
import { routeOf } from './testing/route.ts';

const NOW_MS = 1_000_000_000_000;
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const plan = (request: ProduceRequest, count = 6) =>
  planRequest(request, routeOf('t', count), new PartitionChooser(() => 0), NOW_MS);

function reasonOf(work: () => unknown): ErrorReason | undefined {
  try {
    work();
  } catch (error) {
    if (error instanceof PartitaError) return error.reason;
    throw error;
  }
  return undefined;
}

describe('checkRequest', () => {
  const refused = (partial: Parameters<typeof ProduceRequest.fromPartial>[0]): ErrorReason | undefined =>
    reasonOf(() => checkRequest(ProduceRequest.fromPartial({ topic: 't', records: [{}], ...partial })));

  it('takes a plain request', () => expect(refused({})).toBeUndefined());
  it('refuses a name that no topic can have', () => expect(refused({ topic: 'a b' })).toBe('INVALID_TOPIC_NAME'));
  it('refuses topics of our own', () => expect(refused({ topic: '__groups' })).toBe('INTERNAL_TOPIC'));
  it('refuses a request without records', () => expect(refused({ records: [] })).toBe('INVALID_REQUEST'));
  it('refuses unknown enum values', () => {
    expect(refused({ acks: 9 as never })).toBe('INVALID_REQUEST');
    expect(refused({ codec: 77 as never })).toBe('INVALID_REQUEST');
  });
  it('refuses an expected offset without a partition, or below 0', () => {
    expect(refused({ expectedNextOffset: 3n })).toBe('INVALID_REQUEST');
    expect(refused({ expectedNextOffset: -1n, partition: 0 })).toBe('INVALID_REQUEST');
  });
  it('says that request ids are not served yet rather than ignore one', () => {
    expect(refused({ requestId: 'x' })).toBe('NOT_IMPLEMENTED');
  });
});

describe('planRequest', () => {
  it('splits records by partition and keeps their order and indexes', () => {
    const keys = ['a', 'b', 'c', 'a', 'b', 'c', 'd', 'e', 'f'];
    const { parts } = plan(
      ProduceRequest.fromPartial({ topic: 't', records: keys.map((key) => ({ key: bytes(key) })) }),
    );
    expect(parts.flatMap((part) => part.indexes).toSorted((a, b) => a - b)).toEqual(keys.map((_, index) => index));
    for (const part of parts) expect(part.indexes).toEqual(part.indexes.toSorted((a, b) => a - b));
  });

  it('gives records without a time the time of receipt, and keeps the others', () => {
    const request = ProduceRequest.fromPartial({ topic: 't', partition: 0, records: [{}, { timestampMs: 5n }] });
    expect(plan(request).parts[0]?.records.map((record) => record.timestampMs)).toEqual([BigInt(NOW_MS), 5n]);
  });

  it('names the record that is at fault', () => {
    const records = [{}, { value: new Uint8Array(1024 * 1024 + 1) }];
    const work = (): unknown => plan(ProduceRequest.fromPartial({ topic: 't', records }));
    expect(reasonOf(work)).toBe('RECORD_TOO_LARGE');
    expect(work).toThrow('record 1:');
  });

  it('refuses a timestamp too far ahead', () => {
    const records = [{ timestampMs: BigInt(NOW_MS + 3_600_001) }];
    expect(reasonOf(() => plan(ProduceRequest.fromPartial({ topic: 't', records })))).toBe('INVALID_TIMESTAMP');
  });

  it('refuses atomic records that go to several partitions', () => {
    const records = 'abcdefgh'.split('').map((key) => ({ key: bytes(key) }));
    expect(reasonOf(() => plan(ProduceRequest.fromPartial({ topic: 't', records, atomic: true })))).toBe(
      'INVALID_REQUEST',
    );
  });

  it('refuses a codec that the topic does not take', () => {
    const route = { ...routeOf('t', 1), allowedCodecs: [CompressionCodec.COMPRESSION_CODEC_ZSTD] };
    const request = ProduceRequest.fromPartial({ topic: 't', records: [{}] });
    const work = (): unknown => planRequest(request, route, new PartitionChooser(() => 0), NOW_MS);
    expect(reasonOf(work)).toBe('UNSUPPORTED_CODEC');
  });
});
