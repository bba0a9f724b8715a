/** How well the records of the produce bench pack. */
import { BatchBuilder, CODEC_GZIP, CODEC_LZ4, CODEC_NONE, CODEC_ZSTD } from '@partita/batch';
import type { BatchCodec } from '@partita/batch';
import { exactOrders } from '../loads/order-pool.ts';
import { BATCH_BYTES } from '../workload.ts';
import type { ProduceSettings } from './settings.ts';

const CODECS: Readonly<Record<ProduceSettings['codec'], BatchCodec>> = {
  none: CODEC_NONE,
  zstd: CODEC_ZSTD,
  lz4: CODEC_LZ4,
  gzip: CODEC_GZIP,
};

/** Size of a full batch, packed, as a share of its records' bytes. Batches that went before they were full pack less. */
export function packedShare({ codec, recordBytes }: Pick<ProduceSettings, 'codec' | 'recordBytes'>): number {
  const builder = new BatchBuilder({ batchBytesMax: Math.max(BATCH_BYTES, 2 * recordBytes) });
  for (const record of exactOrders(recordBytes, Math.ceil(BATCH_BYTES / recordBytes))) {
    if (!builder.tryAdd(record)) break;
  }
  return builder.build({ codec: CODECS[codec] }).length / (builder.count * recordBytes);
}
