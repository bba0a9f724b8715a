/**
 * What a producer may not send: each with the reason and the metadata that it is told, at every door that it can come in by,
 * and nothing of it stored. The batches are those of a stock protobuf library, bent in one place.
 */
import { CleanupPolicy } from '@partita/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Api, valueOf } from './api.ts';
import { AppendDoors, DOORS } from './append-doors.ts';
import type { Outcome, SendOptions } from './append-doors.ts';
import { startCluster } from './harness.ts';
import type { Cluster } from './harness.ts';
import { bytesField } from './stock-batch.ts';
import { freshSession, stockBatches, stockFields, stockRecordSet, withRecords } from './stock-library.ts';
import type { StockFields, StockSession } from './stock-library.ts';

const MIB = 1024 * 1024;
const HOUR_MS = 3_600_000;
const INT64_MAX = '9223372036854775807';

let cluster: Cluster;
let api: Api;
let doors: AppendDoors;
let compacted: AppendDoors;

beforeAll(async () => {
  cluster = await startCluster({ brokers: 1 });
  api = new Api(cluster);
  doors = new AppendDoors(cluster, api, await api.createTopic('refusals', 1));
  const settings = { cleanupPolicy: CleanupPolicy.CLEANUP_POLICY_COMPACT };
  compacted = new AppendDoors(cluster, api, await api.createTopic('compacted', 1, settings));
});
afterAll(async () => {
  doors.close();
  compacted.close();
  api.close();
  await cluster.dispose();
});

const hex = (id: Uint8Array): string => Buffer.from(id).toString('hex');
const anyText = expect.stringMatching(/\S/) as string;
const good = (value = 'good'): Buffer => stockBatches(stockFields([{ key: 'k', value }]));

function two(session?: StockSession): StockFields {
  const records = [
    { key: 'a', value: 'first' },
    { key: 'b', value: 'second' },
  ];
  return stockFields(records, 'NONE', session);
}

/** Fields with the same bytes of records, but for one claim. */
const claiming = (claim: StockFields, fields = two()): Buffer => stockBatches({ ...fields, ...claim });

async function expectRefused(send: () => Promise<Outcome>, expected: object, at = doors): Promise<void> {
  const before = await at.standing();
  expect(await send()).toEqual(expected);
  expect(await at.standing()).toEqual(before);
  expect(await at.append(good())).toMatchObject({ ack: { baseOffset: before.highWatermark, duplicate: false } });
}

describe.each(DOORS)('%s refuses, and stores nothing of,', (door) => {
  const refuses = (bytes: Uint8Array, expected: object, options: SendOptions = {}): Promise<void> =>
    expectRefused(() => doors.send(door, bytes, options), expected);
  const invalid = (bytes: Uint8Array, rule: RegExp, more: object = {}): Promise<void> =>
    refuses(bytes, { reason: 'INVALID_BATCH', rule: expect.stringMatching(rule) as string, ...more });

  it('a checksum that the records do not have', async () => {
    const expected = '0x00000001';
    const actual = expect.stringMatching(/^0x[0-9a-f]{8}$/) as string;
    await refuses(claiming({ recordsCrc: 1 }), { reason: 'CHECKSUM_MISMATCH', expected, actual });
  });

  it('counts and sizes that do not hold', async () => {
    await invalid(claiming({ recordCount: 3 }), /^last_offset_delta is 1/);
    await invalid(claiming({ recordCount: 1 }), /^last_offset_delta is 1/);
    await invalid(claiming({ recordCount: -2, lastOffsetDelta: -3 }), /^record_count is -2/);
    await invalid(claiming({ recordCount: 0, lastOffsetDelta: -1 }), /^record_count is 0/);
    await invalid(claiming({ lastOffsetDelta: 5 }), /^last_offset_delta is 5/);
    await invalid(claiming({ uncompressedBytes: 3 }), /uncompressed_bytes/);
    await invalid(claiming({ uncompressedBytes: -1, codec: 2 }), /uncompressed_bytes/);
    await invalid(claiming({ recordCount: 90_000, lastOffsetDelta: 89_999 }), /90000 records do not fit/);
    await invalid(stockBatches(withRecords({ ...two(), uncompressedBytes: 0 }, Buffer.alloc(0))), /^records is empty/);
  });

  it('times and key hashes that contradict each other, and a time too far ahead', async () => {
    await invalid(claiming({ firstTimestampMs: Date.now(), maxTimestampMs: 1 }), /^first_timestamp_ms is above/);
    const one = stockFields([{ key: 'k', value: 'v' }]);
    await invalid(claiming({ minKeyHash: 1, maxKeyHash: 2 }, one), /^min_key_hash and max_key_hash differ/);
    const late = Date.now() + 2 * HOUR_MS;
    const timestamp = { reason: 'INVALID_TIMESTAMP', limit_ms: anyText };
    await refuses(claiming({ maxTimestampMs: late }), { ...timestamp, timestamp_ms: String(late) });
    await refuses(claiming({ firstTimestampMs: -5 }), { ...timestamp, timestamp_ms: '-5', limit_ms: '0' });
  });

  it('a length of the records beyond the message', async () => {
    const bytes = good();
    const length = bytes.length - 2;
    const longer = Buffer.concat([bytes.subarray(0, 1), Buffer.from([length + 1]), bytes.subarray(2)]);
    expect(bytes[1]).toBe(length);
    const malformed = { reason: 'MALFORMED_MESSAGE', message: 'partita.v1.RecordBatches' };
    await refuses(longer, malformed);
    const at = bytes.indexOf(Buffer.from([0x9a, 0x01]));
    const beyond = Buffer.from(bytes);
    beyond[at + 2] = 100;
    await refuses(beyond, malformed);
  });

  it('unknown and repeated fields, and bytes behind the records or the batch', async () => {
    const records = two()['records'] as Uint8Array;
    await invalid(stockBatches(two(), bytesField(19, records)), /^field 19 of the batch repeats/, { field: '19' });
    await invalid(stockBatches(two(), Buffer.from([0x35, 2, 0, 0, 0])), /^field 6 .* repeats/, { field: '6' });
    await invalid(stockBatches(two(), bytesField(20, records)), /^field 20 .* unknown/, { field: '20' });
    await invalid(stockBatches(two(), Buffer.from([0])), /^bytes stand behind the records/);
    await invalid(Buffer.concat([good(), Buffer.from([0])]), /^something follows the batch/);
    await invalid(Buffer.concat([good(), good()]), /^something follows the batch/);
    await invalid(Buffer.from([0x12, 0]), /^field 2 stands where the batch should/);
    await invalid(Buffer.alloc(0), /^the append holds no batch/);
  });

  it('batches of the cluster itself, and of types and codecs that nobody knows', async () => {
    for (const type of [2, 3, 4]) await invalid(claiming({ type }), /the cluster's own/, { type: String(type) });
    await invalid(claiming({ type: 9 }), /^batch type 9 is unknown/, { type: '9' });
    const allowed = 'NONE,ZSTD,LZ4,GZIP';
    await refuses(claiming({ codec: 9 }), { reason: 'UNSUPPORTED_CODEC', codec: '9', allowed });
  });

  it('what is too large: a record, a batch, its claim, its count', async () => {
    const large = [{ value: 'x'.repeat(MIB + 100) }];
    const bytes = String(stockRecordSet(large).length - 5);
    await refuses(stockBatches(stockFields(large)), { reason: 'RECORD_TOO_LARGE', bytes, limit: String(MIB) });
    // 3 records of 0.9 MiB: each is small enough, the batch is not.
    const batch = stockFields(Array.from({ length: 3 }, () => ({ value: 'x'.repeat(0.9 * MIB) })));
    const limit = String(2 * MIB);
    const tooLarge = { reason: 'BATCH_TOO_LARGE', bytes: String(stockBatches(batch).length), limit };
    await refuses(stockBatches(batch), tooLarge);
    const claim = { uncompressedBytes: 16 * MIB + 1, codec: 2 };
    const claimed = { reason: 'BATCH_TOO_LARGE', bytes: String(16 * MIB + 1), limit: String(16 * MIB) };
    await refuses(claiming(claim), claimed);
    const many = { reason: 'BATCH_TOO_LARGE', records: '100001', limit: '100000' };
    await refuses(claiming({ recordCount: 100_001, lastOffsetDelta: 100_000 }), many);
  });

  it('an expected offset that others have passed, naming the real one', async () => {
    const { dataEnd } = await doors.standing();
    const options = { expectedNextOffset: dataEnd - 1n };
    const actual = { expected: String(dataEnd - 1n), actual: String(dataEnd) };
    await refuses(good(), { reason: 'EXPECTED_OFFSET_MISMATCH', ...actual }, options);
    const taken = await doors.send(door, good(), { expectedNextOffset: (await doors.standing()).dataEnd });
    expect(taken).toMatchObject({ ack: { recordCount: 1 } });
  });

  it('an id that is no UUID of version 7, and numbers that no session has', async () => {
    const field = { field: 'producer_id' };
    const session = freshSession();
    const random = Buffer.from(session.producerId).fill(0x4f, 6, 7);
    const version = { ...field, value: hex(random) };
    await invalid(stockBatches(two({ ...session, producerId: random })), /UUID of version 7/, version);
    await invalid(stockBatches({ ...two(session), producerId: random.subarray(1) }), /^producer_id has 15 bytes/);
    await invalid(stockBatches({ ...two(session), producerEpoch: -1 }), /out of range/);
    await invalid(stockBatches({ ...two(session), firstSequence: -1 }), /out of range/);
    await invalid(stockBatches({ ...two(session), firstSequence: INT64_MAX }), /out of range/);
    await invalid(claiming({ producerEpoch: 1 }), /need a producer_id/);
    await invalid(claiming({ firstSequence: 7 }), /need a producer_id/);
  });

  it('a session that leaves a gap, is behind the window, is fenced, is unknown, or is too old', async () => {
    const session = freshSession();
    const producer_id = hex(session.producerId);
    const next = (firstSequence: number, producerEpoch = 0): Buffer =>
      stockBatches(two({ ...session, firstSequence, producerEpoch }));
    const unknown = { reason: 'UNKNOWN_PRODUCER', producer_id };
    await refuses(next(2), unknown);
    const sent = [];
    for (let sequence = 0; sequence < 14; sequence += 2) sent.push(next(sequence));
    for (const batch of sent) expect(await doors.send(door, batch)).toMatchObject({ ack: { duplicate: false } });
    await refuses(next(16), { reason: 'OUT_OF_ORDER_SEQUENCE', expected: '14', actual: '16' });
    // The last five are known again, with the same bytes only.
    await refuses(sent[1]!, unknown);
    await refuses(stockBatches(stockFields([{ value: 'other' }], 'NONE', { ...session, firstSequence: 12 })), unknown);
    expect(await doors.send(door, sent[6]!)).toMatchObject({ ack: { duplicate: true, recordCount: 2 } });
    expect(await doors.send(door, next(0, 1))).toMatchObject({ ack: { duplicate: false } });
    await refuses(next(14), { reason: 'FENCED_PRODUCER', producer_id, epoch: '0', current: '1' });
    await refuses(next(2, 2), { reason: 'OUT_OF_ORDER_SEQUENCE', expected: '0', actual: '2' });
    for (const madeMs of [Date.now() - 24 * HOUR_MS, Date.now() + 24 * HOUR_MS]) {
      const old = freshSession(madeMs);
      const expired = { reason: 'PRODUCER_EXPIRED', producer_id: hex(old.producerId) };
      const leader_time_ms = expect.toSatisfy((ms: string) => Math.abs(Number(ms) - Date.now()) < 60_000) as string;
      await refuses(stockBatches(two(old)), { ...expired, leader_time_ms });
    }
  });
});

describe('Append refuses', () => {
  it('a request above the limit of a message or of entries', async () => {
    const batch = stockBatches(stockFields([{ value: 'x'.repeat(0.9 * MIB) }]));
    const message = { reason: 'LIMIT_EXCEEDED', limit: 'message_bytes', value: String(4 * MIB) };
    await expectRefused(() => doors.appendEntries([batch, batch, batch, batch, batch]), message);
    const empty = Array.from({ length: 10_001 }, () => Buffer.alloc(0));
    await expectRefused(() => doors.appendEntries(empty), {
      reason: 'INVALID_REQUEST',
      field: anyText,
      value: '10001',
      range: anyText,
    });
  });
});

describe('Produce refuses', () => {
  const value = Buffer.from('v');
  const record = { key: Buffer.from('k'), value };
  type Request = Parameters<AppendDoors['produce']>[0];
  const refuses = (request: Request, expected: object, at = doors): Promise<void> =>
    expectRefused(() => at.produce({ records: [record], ...request }), expected, at);

  it('records above a limit, each with its index', async () => {
    const index = '1';
    const tooLarge = { reason: 'RECORD_TOO_LARGE', index };
    const withHeaders = (headers: { name: string; value: Buffer }[]): Request => ({
      records: [record, { value, headers }],
    });
    const large = { bytes: String(MIB + 5), limit: String(MIB) };
    await refuses({ records: [record, { value: Buffer.alloc(MIB + 1) }] }, { ...tooLarge, ...large, bytes: anyText });
    const headers = Array.from({ length: 129 }, () => ({ name: 'n', value }));
    await refuses(withHeaders(headers), { ...tooLarge, headers: '129', limit: '128' });
    const wide = [{ name: 'n', value: Buffer.alloc(65_536) }];
    await refuses(withHeaders(wide), { ...tooLarge, bytes: '65537', limit: '65536' });
    await refuses(withHeaders([{ name: 'n'.repeat(256), value }]), { ...tooLarge, bytes: '256', limit: '255' });
    const nameless = { reason: 'INVALID_BATCH', rule: anyText, index };
    await refuses(withHeaders([{ name: '', value }]), nameless);
    await refuses(
      { records: [record, { value, traceparent: 'x'.repeat(56) }] },
      { ...tooLarge, chars: '56', limit: '55' },
    );
  });

  it('a time before 1970 or too far ahead', async () => {
    const timestampMs = BigInt(Date.now() + 2 * HOUR_MS);
    const refusal = { reason: 'INVALID_TIMESTAMP', timestamp_ms: String(timestampMs), limit_ms: anyText, index: '0' };
    await refuses({ records: [{ value, timestampMs }] }, refusal);
    await refuses({ records: [{ value, timestampMs: -1n }] }, { ...refusal, timestamp_ms: '-1', limit_ms: '0' });
  });

  it('too many records, too large a request, an atomic request that is no batch, an offset that others have passed', async () => {
    const many = Array.from({ length: 100_001 }, () => ({}));
    const count = { reason: 'INVALID_REQUEST', field: 'records', value: '100001', range: '1..100000' };
    await refuses({ records: many }, count);
    await refuses({ records: [] }, { ...count, value: '0' });
    const message = { reason: 'LIMIT_EXCEEDED', limit: 'message_bytes', value: String(4 * MIB) };
    await refuses({ records: [{ value: Buffer.alloc(5 * MIB) }] }, message);
    const large = Array.from({ length: 3 }, () => ({ value: Buffer.alloc(0.9 * MIB) }));
    const tooLarge = { reason: 'BATCH_TOO_LARGE', bytes: anyText };
    await refuses({ records: large, atomic: true, partition: 0 }, expect.objectContaining(tooLarge) as object);
    const { dataEnd } = await doors.standing();
    const actual = { expected: '1', actual: String(dataEnd) };
    await refuses({ partition: 0, expectedNextOffset: 1n }, { reason: 'EXPECTED_OFFSET_MISMATCH', ...actual });
  });

  it('a record without key and value on a compacted topic', async () => {
    const keyless = { reason: 'INVALID_BATCH', rule: anyText, index: '0' };
    await refuses({ records: [{}] }, keyless, compacted);
  });
});

it.for(['Append', 'AppendStream'] as const)(
  'by design %s does not look at records: times, key hashes and tombstones that a header claims are stored, readers get the records',
  async (door) => {
    const claims = { ...{ minKeyHash: 5, maxKeyHash: 6 }, ...{ firstTimestampMs: 1, maxTimestampMs: 2 } };
    const fields = { ...two(), ...claims, hasTombstones: true };
    const { highWatermark } = await doors.standing();
    expect(await doors.send(door, stockBatches(fields))).toMatchObject({ ack: { baseOffset: highWatermark } });
    const [batch] = await doors.fetch(highWatermark);
    expect(batch?.fields).toMatchObject({ ...claims, hasTombstones: true });
    expect(batch?.records).toMatchObject([
      { key: 'a', value: 'first' },
      { key: 'b', value: 'second' },
    ]);
    const read = await api.readPartition(doors.topic.name, 0, 30_000, highWatermark);
    expect(read.map(valueOf)).toEqual(['first', 'second']);
  },
);
