/** The records that the loads send: random bytes, so that nothing can be packed, and keys for every partition. */
import { randomBytes } from 'node:crypto';
import { BatchBuilder, CODEC_NONE, keyHash } from '@partita/batch';
import type { RecordInput } from '@partita/batch';
import type { Partition, Record as WireRecord } from '@partita/protocol';
import { BATCH_BYTES, RECORD_BYTES } from '../workload.ts';

const KEY_BYTES = 16;
/** Tags and lengths of key and value, tag and value of the timestamp: what a serialised record has beside its bytes. */
const FRAMING_BYTES = 12;

/** A batch as sent, and how many records are in it. */
export interface TestBatch {
  readonly partition: number;
  readonly recordBatches: Buffer;
  readonly recordCount: number;
}

/** One full batch for each partition, of records whose keys belong there. */
export function testBatches(partitions: readonly Partition[], recordBytes = RECORD_BYTES): TestBatch[] {
  return partitions.map(({ partition, hashMin, hashMax }) => {
    const builder = new BatchBuilder({ batchBytesMax: BATCH_BYTES });
    let record = testRecord(hashMin, hashMax, recordBytes);
    while (builder.tryAdd(record)) record = testRecord(hashMin, hashMax, recordBytes);
    return { partition, recordBatches: builder.build({ codec: CODEC_NONE }), recordCount: builder.count };
  });
}

/** As many plain records as a batch holds, with keys for all partitions. */
export function testRecords(): WireRecord[] {
  return Array.from({ length: BATCH_BYTES / RECORD_BYTES }, () => plainRecord());
}

export function plainRecord(): WireRecord {
  const { key, value, timestampMs } = testRecord(0, 0xffffffff);
  return { key, value, timestampMs, headers: [], traceparent: '', tracestate: '', offsetDelta: undefined };
}

function testRecord(hashMin: number, hashMax: number, recordBytes = RECORD_BYTES): RecordInput {
  let key = randomBytes(KEY_BYTES);
  for (let hash = keyHash(key); hash < hashMin || hash > hashMax; hash = keyHash(key)) key = randomBytes(KEY_BYTES);
  const value = randomBytes(recordBytes - KEY_BYTES - FRAMING_BYTES);
  return { key, value, timestampMs: BigInt(Date.now()) };
}
