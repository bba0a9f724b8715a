/** The format against a protobuf implementation that is not ours: `buf convert`, with the schema in proto/. */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { readBatchHeader } from './batch-header.ts';
import { filterBatch } from './filter-batch.ts';
import { recordsAt } from './header-access.ts';
import { headerSeed, stampBatch } from './header-checksum.ts';
import { RecordTable } from './record-table.ts';
import { acceptBatch } from './reframe.ts';
import { buildBatch, PRODUCER_ID, RULES } from './testing/batches.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

function convert(type: string, from: string, to: string, input: Uint8Array): Buffer {
  const args = ['convert', 'proto', '--type', `partita.v1.${type}`, `--from=-#format=${from}`, `--to=-#format=${to}`];
  return execFileSync(`${ROOT}node_modules/.bin/buf`, args, { cwd: ROOT, input });
}

function toJson(type: string, bytes: Uint8Array): Record<string, unknown> {
  return JSON.parse(convert(type, 'binpb', 'json', bytes).toString()) as Record<string, unknown>;
}

const records = [
  {
    key: Buffer.from('ATL'),
    value: Buffer.from('x'),
    headers: [{ name: 'ü', value: Buffer.from([0, 255]) }],
    timestampMs: 5n,
  },
  { key: Buffer.alloc(0), timestampMs: 980_000_000_000n, tracestate: 'a=b' },
];
const base64 = (text: string): string => Buffer.from(text).toString('base64');

describe('a stock protobuf library', () => {
  it('reads a log of canonical batches', () => {
    const batch = buildBatch(records, 1, { producerId: PRODUCER_ID, producerEpoch: 1, firstSequence: 9n });
    const next = buildBatch(records);
    for (const [i, stamped] of [batch, next].entries()) {
      stampBatch(stamped, { baseOffset: BigInt(i * 2), leaderEpoch: 4, appendTimeMs: 77n }, headerSeed('t', 0));
    }
    const { batches } = toJson('RecordBatches', Buffer.concat([batch, next])) as { batches: Record<string, unknown>[] };
    const header = readBatchHeader(batch);
    expect(batches).toHaveLength(2);
    expect(batches[1]).toMatchObject({ baseOffset: '2', producerEpoch: -1, firstSequence: '-1' });
    expect(batches[0]).toEqual({
      leaderEpoch: 4,
      appendTimeMs: '77',
      headerCrc: header.headerCrc,
      recordsCrc: header.recordsCrc,
      recordCount: 2,
      lastOffsetDelta: 1,
      firstTimestampMs: '5',
      maxTimestampMs: '980000000000',
      uncompressedBytes: header.recordsBytes,
      producerId: PRODUCER_ID.toString('base64'),
      producerEpoch: 1,
      firstSequence: '9',
      minKeyHash: header.minKeyHash,
      maxKeyHash: header.maxKeyHash,
      codec: 'COMPRESSION_CODEC_NONE',
      type: 'BATCH_TYPE_DATA',
      hasTombstones: true,
      records: Buffer.from(recordsAt(batch, 0)).toString('base64'),
    });
  });

  it('reads the records', () => {
    expect(toJson('RecordSet', recordsAt(buildBatch(records), 0))).toEqual({
      records: [
        { key: base64('ATL'), value: base64('x'), headers: [{ name: 'ü', value: 'AP8=' }], timestampMs: '5' },
        { key: '', timestampMs: '980000000000', tracestate: 'a=b' },
      ],
    });
  });

  it('reads the records that compaction left, with their places in the batch', () => {
    const table = new RecordTable();
    table.load(buildBatch([records[0]!, ...records]), 0);
    const [rest] = filterBatch(table, Uint8Array.of(0, 1, 1), headerSeed('t', 0));
    const set = recordsAt(rest!, 0);
    const { records: left } = toJson('RecordSet', set) as { records: object[] };
    expect(left).toEqual([
      expect.objectContaining({ key: base64('ATL'), value: base64('x'), offsetDelta: 1 }),
      expect.objectContaining({ key: '', tracestate: 'a=b', offsetDelta: 2 }),
    ]);
    const json = convert('RecordSet', 'binpb', 'json', set);
    expect(convert('RecordSet', 'json', 'binpb', json).equals(set)).toBe(true);
  });

  it('writes batches and record sets that become ours again, byte for byte', () => {
    const canonical = buildBatch(records);
    const json = convert('RecordBatches', 'binpb', 'json', canonical);
    const foreign = convert('RecordBatches', 'json', 'binpb', json);
    expect(foreign.length).toBeLessThan(canonical.length);
    expect(acceptBatch(foreign, RULES).equals(canonical)).toBe(true);
    const set = recordsAt(canonical, 0);
    const setJson = convert('RecordSet', 'binpb', 'json', set);
    expect(convert('RecordSet', 'json', 'binpb', setJson).equals(set)).toBe(true);
  });
});
