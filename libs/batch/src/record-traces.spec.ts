import { expect, it } from 'vitest';
import { BatchBuilder } from './batch-builder.ts';
import { CODEC_NONE, CODEC_ZSTD } from './batch-header.ts';
import { filterBatch } from './filter-batch.ts';
import { RecordTable } from './record-table.ts';
import { recordTraces } from './record-traces.ts';
import type { RecordInput } from './record-set.ts';

const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

function batchOf(records: readonly Partial<RecordInput>[], codec: typeof CODEC_NONE | typeof CODEC_ZSTD = CODEC_NONE) {
  const builder = new BatchBuilder();
  for (const record of records) builder.tryAdd({ value: Buffer.from('v'), timestampMs: 1n, ...record });
  return builder.build({ codec });
}

it.each([CODEC_NONE, CODEC_ZSTD] as const)('finds the records with a traceparent, codec %i', (codec) => {
  const plain = Array.from({ length: 300 }, () => ({}));
  const batch = batchOf([{}, { traceparent: TRACE }, ...plain, { traceparent: TRACE, tracestate: 'a=b' }], codec);
  expect(recordTraces(batch, 0, 10)).toEqual([
    { offset: 1n, traceparent: TRACE },
    { offset: 302n, traceparent: TRACE },
  ]);
  expect(recordTraces(batch, 0, 1)).toHaveLength(1);
});

it('is not taken in by a value that looks like one', () => {
  const lookalike = Buffer.concat([Buffer.from([0x2a, 55]), Buffer.from(TRACE)]);
  expect(recordTraces(batchOf([{ value: lookalike }, { traceparent: TRACE }, {}]), 0, 10)).toEqual([
    { offset: 1n, traceparent: TRACE },
  ]);
  expect(recordTraces(batchOf([{ value: lookalike }]), 0, 10)).toEqual([]);
});

it('tells the offsets that compaction has left', () => {
  const table = new RecordTable();
  table.load(batchOf([{ key: Buffer.from('a') }, { key: Buffer.from('b') }, { traceparent: TRACE }]), 0);
  const kept = filterBatch(table, Uint8Array.of(1, 0, 1), 0);
  const [batch] = kept;
  if (batch === undefined) throw new Error('nothing was kept');
  expect(recordTraces(batch, 0, 10)).toEqual([{ offset: 2n, traceparent: TRACE }]);
});
