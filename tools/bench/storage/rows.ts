/** The rows of `npm run bench -- storage`. The load's process (storage-loads/storage-loads.ts) runs what they describe. */
import { BATCH_SIZES, CODEC_RECORD_SIZES } from './workload.ts';
import type { BatchSize, CodecRecordSize } from './workload.ts';

/** How the log is flushed: libs/log's settings. */
export type Flush = 'fsync' | 'os';

/** Batches appended to a log, beside plain writes of the same groups of batches into one file. */
export interface AppendRow {
  readonly kind: 'append';
  readonly name: string;
  readonly flush: Flush;
  readonly batchSize: BatchSize;
  /** Segments are small, so that rolls are measured too; such rows have no target. */
  readonly rolls: boolean;
}

/** A log read from start to end, beside plain reads of the same slices and their CRC-32C. */
export interface ReadRow {
  readonly kind: 'read';
  readonly name: string;
  readonly batchSize: BatchSize;
}

/**
 * A batch appended to each of many partitions until all are synced, beside the same bytes in one file with one sync.
 * With `pagesToo` the other side also writes every batch into its partition's own file, unsynced: what a shared journal
 * would have to do.
 */
export interface DirtyRow {
  readonly kind: 'dirty';
  readonly name: string;
  readonly pagesToo: boolean;
}

/** Records encoded to batches, and decoded. No ratio: there is nothing raw to compare with. */
export interface CodecRow {
  readonly kind: 'codec';
  readonly name: string;
  readonly codec: CodecName;
  readonly recordSize: CodecRecordSize;
}

const CODEC_NAMES = ['none', 'zstd', 'lz4', 'gzip'] as const;
export type CodecName = (typeof CODEC_NAMES)[number];

export type StorageRow = AppendRow | ReadRow | DirtyRow | CodecRow;

const BATCH_SIZE_NAMES = Object.keys(BATCH_SIZES) as BatchSize[];
const RECORD_SIZE_NAMES = Object.keys(CODEC_RECORD_SIZES) as CodecRecordSize[];

export const STORAGE_ROWS: readonly StorageRow[] = [
  ...appendRows('os'),
  ...appendRows('fsync'),
  ...BATCH_SIZE_NAMES.map((batchSize): ReadRow => ({ kind: 'read', name: `read-${batchSize}`, batchSize })),
  { kind: 'dirty', name: 'dirty-shared-file', pagesToo: false },
  { kind: 'dirty', name: 'dirty-journal', pagesToo: true },
  ...CODEC_NAMES.flatMap((codec) =>
    RECORD_SIZE_NAMES.map((recordSize): CodecRow => ({
      kind: 'codec',
      name: `codec-${codec}-${recordSize}`,
      codec,
      recordSize,
    })),
  ),
];

function appendRows(flush: Flush): AppendRow[] {
  return [
    ...BATCH_SIZE_NAMES.map((batchSize): AppendRow => ({
      kind: 'append',
      name: `append-${flush}-${batchSize}`,
      flush,
      batchSize,
      rolls: false,
    })),
    { kind: 'append', name: `append-${flush}-rolls`, flush, batchSize: '64k', rolls: true },
  ];
}
