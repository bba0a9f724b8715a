import { keyHash } from '@partita/batch';
import { PartitaError } from '@partita/domain';
import type { ErrorReason } from '@partita/domain';
import { CompressionCodec, ProduceRequest } from '@partita/protocol';
import { describe, expect, it } from 'vitest';
import { PartitionChooser } from '@partita/client';
import { checkRequest, planRequest } from './produce-plan.ts';
import { routeOf } from './testing/route.ts';

const NOW_MS = 1_000_000_000_000;
/** Made a second before. */
const REQUEST_ID = '00e8d4a5-0c18-7000-a000-0123456789ab';
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
  it('takes a request id that is a lower-case UUID of version 7 only', () => {
    expect(refused({ requestId: REQUEST_ID })).toBeUndefined();
    const others = [
      ...['x', REQUEST_ID.toUpperCase(), REQUEST_ID.replaceAll('-', ''), REQUEST_ID.replace('-7', '-4')],
      ...[`${REQUEST_ID} `, REQUEST_ID.replace('-a', '-c'), '00000000-0000-0000-0000-000000000000'],
    ];
    for (const requestId of others) expect(refused({ requestId })).toBe('INVALID_REQUEST');
    const work = (): unknown => checkRequest(ProduceRequest.fromPartial({ topic: 't', records: [{}], requestId: 'x' }));
    expect(work).toThrow(expect.objectContaining({ metadata: expect.objectContaining({ field: 'request_id' }) }));
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

describe('planRequest, of a request with an id', () => {
  const planOf = (partial: Parameters<typeof ProduceRequest.fromPartial>[0]) =>
    plan(ProduceRequest.fromPartial({ topic: 't', requestId: REQUEST_ID, ...partial }));

  it('is one batch of its own, known by the 16 bytes of the id', () => {
    const { parts, mergeable, requestId } = planOf({ records: [{}, {}] });
    expect([parts.length, mergeable]).toEqual([1, false]);
    expect(Buffer.from(requestId ?? []).toString('hex')).toBe(REQUEST_ID.replaceAll('-', ''));
    expect(plan(ProduceRequest.fromPartial({ topic: 't', records: [{}] })).requestId).toBeUndefined();
  });

  it('goes where the id says when no record has a key, through every gateway', () => {
    const chosen = new Set<number>();
    for (let number = 0; number < 40; number += 1) {
      const requestId = `${REQUEST_ID.slice(0, -2)}${String(number).padStart(2, '0')}`;
      const request = ProduceRequest.fromPartial({ topic: 't', requestId, records: [{}, {}] });
      const route = routeOf('t', 6);
      const choices = [0, 0.9].map(
        (random) => planRequest(request, route, new PartitionChooser(() => random), NOW_MS).parts[0]?.partition,
      );
      const range = route.partitions[choices[0] ?? -1];
      const hash = keyHash(Buffer.from(requestId.replaceAll('-', ''), 'hex'));
      expect(hash >= (range?.hashMin ?? 1) && hash <= (range?.hashMax ?? 0)).toBe(true);
      expect(choices[1]).toBe(choices[0]);
      chosen.add(choices[0] ?? -1);
    }
    expect(chosen.size).toBe(6);
  });

  it('takes records without a key to where those with one go, and refuses keys of several partitions', () => {
    const [home] = planOf({ records: [{ key: bytes('a') }] }).parts;
    const { parts } = planOf({ records: [{}, { key: bytes('a') }, {}] });
    expect(parts.map(({ partition, indexes }) => [partition, indexes])).toEqual([[home?.partition, [0, 1, 2]]]);
    const work = (): unknown => planOf({ records: 'abcdefgh'.split('').map((key) => ({ key: bytes(key) })) });
    expect(reasonOf(work)).toBe('INVALID_REQUEST');
    expect(work).toThrow(expect.objectContaining({ metadata: expect.objectContaining({ field: 'records' }) }));
  });

  it('goes to the partition that is named, whatever its keys', () => {
    const { parts } = planOf({ partition: 3, records: 'abcdefgh'.split('').map((key) => ({ key: bytes(key) })) });
    expect(parts.map(({ partition, records }) => [partition, records.length])).toEqual([[3, 8]]);
  });

  it('gives records without a time that of the id, but none that is yet to come', () => {
    const times = (requestId: string) =>
      planOf({ requestId, records: [{}, { timestampMs: 5n }] }).parts[0]?.records.map((record) => record.timestampMs);
    expect(times(REQUEST_ID)).toEqual([BigInt(NOW_MS - 1000), 5n]);
    expect(times(REQUEST_ID.replace('00e8', '00e9'))).toEqual([BigInt(NOW_MS), 5n]);
  });
});
