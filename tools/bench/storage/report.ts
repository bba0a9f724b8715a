/** The figures of the storage rows as Markdown: a table for each kind of row, and which rows miss the target. */
import { count, markdownTable, megabytes, ratioText } from '../markdown-table.ts';
import { machineLine } from '../machine.ts';
import type { Machine } from '../machine.ts';
import type { RowFigures, Side } from '../rounds.ts';
import type { AppendRow, CodecRow, DirtyRow, ReadRow, StorageRow } from './rows.ts';
import {
  CODEC_BATCH_BYTES,
  DIRTY_BATCH_BYTES,
  DIRTY_PARTITION_COUNT,
  IN_FLIGHT_BYTES,
  PASS_BYTES,
  RATIO_TARGET,
  RECORD_BYTES,
  ROLLED_SEGMENT_BYTES,
  SLICE_BYTES,
  THREAD_POOL_SIZE,
} from './workload.ts';

/** Where and how it ran. */
export interface StorageFacts extends Machine {
  readonly rounds: number;
  readonly seconds: number;
  /** Kind of file system below --dir. */
  readonly fileSystem: string;
}

export interface StorageReport {
  readonly row: StorageRow;
  readonly figures: RowFigures;
}

/** The workload, for people: everything that one must know to compare two reports. */
export function storageHeader(facts: StorageFacts): string {
  const kib = (bytes: number): string => `${bytes / 1024} KiB`;
  const mib = (bytes: number): string => `${bytes / 1024 / 1024} MiB`;
  return `# Partita storage bench

${machineLine(facts)}
  Files on ${facts.fileSystem}; one process with ${THREAD_POOL_SIZE} threads of libuv. The ratio is the result.
- **Append**: batches of random records of ${kib(RECORD_BYTES)}, built and stamped before, appended to one log with at most ${mib(IN_FLIGHT_BYTES)} unsynced,
  until \`onSynced\` told the last; ${mib(PASS_BYTES)} to a new log, again and again. Raw: \`writev\` of the same buffers in the same groups
  (those of the log's own writes) into one new file, each followed by \`fdatasync\` where flush=fsync. Rows with rolls have
  segments of ${mib(ROLLED_SEGMENT_BYTES)}; the others have no roll. A roll syncs the segment and makes three files durable: raw does nothing of that.
- **Read**: the same log, in the page cache, from start to end by \`read\` in slices of ${mib(SLICE_BYTES)}. Raw: reads of the same slices of the
  same file, each into a new buffer, and the CRC-32C of each slice.
- **Dirty partitions**: one batch of ${kib(DIRTY_BATCH_BYTES)} to each of ${count(DIRTY_PARTITION_COUNT)} logs, flush=fsync, until all are synced. Raw: the same bytes in one file
  with one \`fdatasync\`; as a shared journal would work, that and the batches in their logs' files too, unsynced.
- **Encode, decode**: records of JSON in batches of ${kib(CODEC_BATCH_BYTES)} before compression; \`BatchBuilder\` and \`decodeBatch\`, checksums included;
  bytes are those before compression.
- **Method**: ${facts.rounds} rounds of ${facts.seconds} s for each row, ours and raw in turn after a warm-up of each; medians; the ratio is the median of the
  rounds' ratios (lowest to highest). The target of append and read is ${RATIO_TARGET.toFixed(2)} at every batch size.
`;
}

export function storageTables(reports: readonly StorageReport[]): string {
  const measured = reports.flatMap(({ row, figures }) =>
    row.kind === 'append' || row.kind === 'read' ? [{ row, figures }] : [],
  );
  const dirty = reports.flatMap(({ row, figures }) => (row.kind === 'dirty' ? [{ row, figures }] : []));
  const codecs = reports.flatMap(({ row, figures }) => (row.kind === 'codec' ? [{ row, figures }] : []));
  const parts = [
    ...(measured.length === 0 ? [] : [measuredTable(measured), targetSentence(measured)]),
    ...(dirty.length === 0 ? [] : [dirtyTable(dirty), dirtySentence(dirty)]),
    ...(codecs.length === 0 ? [] : [codecTable(codecs)]),
  ];
  return parts.join('\n');
}

type Reported<Row extends StorageRow> = readonly { readonly row: Row; readonly figures: RowFigures }[];

function measuredTable(rows: Reported<AppendRow | ReadRow>): string {
  return markdownTable(
    ['row', 'ours MB/s', 'raw MB/s', 'ours / raw', 'target'],
    rows.map(({ row, figures }) => [
      titleOf(row),
      megabytes(figures.ours),
      megabytes(figures.raw),
      ratioText(figures),
      hasTarget(row) ? (figures.ratio.median >= RATIO_TARGET ? 'reached' : 'missed') : '',
    ]),
  );
}

function titleOf(row: AppendRow | ReadRow): string {
  if (row.kind === 'read') return `read, batches of ${row.batchSize}`;
  return `append, flush=${row.flush}, batches of ${row.batchSize}${row.rolls ? ', with rolls' : ''}`;
}

function hasTarget(row: AppendRow | ReadRow): boolean {
  return row.kind === 'read' || !row.rolls;
}

function targetSentence(rows: Reported<AppendRow | ReadRow>): string {
  const missed = rows.filter(({ row, figures }) => hasTarget(row) && figures.ratio.median < RATIO_TARGET);
  const target = RATIO_TARGET.toFixed(2);
  if (missed.length === 0) return `Every row with a target reaches ${target}.\n`;
  return `Below ${target}: ${missed.map(({ row }) => titleOf(row)).join('; ')}.\n`;
}

/** How long it takes until each dirty partition's batch is durable. */
function turnMs(side: Side): string {
  return ((DIRTY_PARTITION_COUNT * 1000) / side.recordsPerSecond).toFixed(1);
}

function dirtyTable(rows: Reported<DirtyRow>): string {
  return markdownTable(
    [`${count(DIRTY_PARTITION_COUNT)} dirty partitions beside`, 'ours ms', 'raw ms', 'raw / ours in time'],
    rows.map(({ row, figures }) => [
      row.pagesToo ? 'one file with one sync, and their own files unsynced' : 'one file with one sync',
      turnMs(figures.ours),
      turnMs(figures.raw),
      ratioText(figures),
    ]),
  );
}

function dirtySentence(rows: Reported<DirtyRow>): string {
  return rows
    .filter(({ row }) => row.pagesToo)
    .map(
      ({ figures: { ours, raw } }) =>
        `A shared journal would answer after ${turnMs(raw)} ms instead of ${turnMs(ours)} ms; it writes the bytes twice and ` +
        `syncs every file later all the same. docs/adr/0006 says what follows from it.\n`,
    )
    .join('');
}

function codecTable(rows: Reported<CodecRow>): string {
  return markdownTable(
    ['codec and record', 'encode records/s', 'encode MB/s', 'decode records/s', 'decode MB/s'],
    rows.map(({ row, figures: { ours, raw } }) => [
      `${row.codec}, ${row.recordSize}`,
      count(ours.recordsPerSecond),
      megabytes(ours),
      count(raw.recordsPerSecond),
      megabytes(raw),
    ]),
  );
}
