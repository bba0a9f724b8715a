/** Encoding records to batches, and decoding the batches: libs/batch alone, in memory. */
import { BatchBuilder, CODEC_GZIP, CODEC_LZ4, CODEC_NONE, CODEC_ZSTD, decodeBatch, HEADER_BYTES } from '@partita/batch';
import type { BatchCodec, RecordInput } from '@partita/batch';
import type { Sample } from '../sample.ts';
import type { CodecName, CodecRow } from '../storage/rows.ts';
import { CODEC_BATCH_BYTES, CODEC_RECORD_SIZES } from '../storage/workload.ts';
import { repeatPasses } from './passes.ts';
import type { StorageLoad, StorageSide } from './storage-load.ts';
import { orderRecord } from './order-records.ts';

const CODECS: Readonly<Record<CodecName, BatchCodec>> = {
  none: CODEC_NONE,
  zstd: CODEC_ZSTD,
  lz4: CODEC_LZ4,
  gzip: CODEC_GZIP,
};

/** The side `ours` encodes, `raw` decodes. */
export class CodecLoad implements StorageLoad {
  readonly #codec: BatchCodec;
  readonly #records: readonly RecordInput[];
  readonly #batch: Buffer;
  /** Of the record set, before compression. */
  readonly #bytes: number;

  constructor(row: CodecRow) {
    this.#codec = CODECS[row.codec];
    const builder = new BatchBuilder({ batchBytesMax: CODEC_BATCH_BYTES });
    const records: RecordInput[] = [];
    for (;;) {
      const record = orderRecord(records.length, CODEC_RECORD_SIZES[row.recordSize]);
      if (!builder.tryAdd(record)) break;
      records.push(record);
    }
    this.#records = records;
    this.#bytes = builder.bytes - HEADER_BYTES;
    this.#batch = builder.build({ codec: this.#codec });
  }

  run(side: StorageSide, seconds: number): Promise<Sample> {
    const work = side === 'ours' ? () => this.#encode() : () => this.#decode();
    return repeatPasses(seconds, () => {
      const startMs = performance.now();
      const recordCount = work();
      return Promise.resolve({ recordCount, bytes: this.#bytes, durationMs: performance.now() - startMs });
    });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #encode(): number {
    const builder = new BatchBuilder({ batchBytesMax: CODEC_BATCH_BYTES });
    for (const record of this.#records) builder.tryAdd(record);
    const batch = builder.build({ codec: this.#codec });
    if (batch.length !== this.#batch.length) throw new Error('the same records gave another batch');
    return builder.count;
  }

  #decode(): number {
    return decodeBatch(this.#batch).records.length;
  }
}
