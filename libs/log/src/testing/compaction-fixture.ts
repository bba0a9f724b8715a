/** What the specs of compaction share: sealed segments with records of any keys, and a pass over them. */
import {
  BATCH_DATA,
  BATCH_EPOCH_START,
  BatchBuilder,
  batchesIn,
  buildControlBatch,
  CODEC_NONE,
  decodeBatch,
  headerSeed,
  lastOffsetAt,
  stampBatch,
} from '@partita/batch';
import type { BatchCodec, DecodedRecord } from '@partita/batch';
import { MemoryDisk } from '@partita/testkit';
import type { CompactionHooks } from '../compaction/compaction-io.ts';
import { compactSegments } from '../compaction/compact-segments.ts';
import type { CompactionPlan, CompactionResult, SealedSegment } from '../compaction/compaction-plan.ts';
import { NEVER_COMPACTED } from '../compaction/compaction-state.ts';
import { swapIn } from '../compaction/compaction-swap.ts';
import type { Disk } from '../disk.ts';
import { parseSegmentName, segmentPath } from '../segment-files.ts';
import { encodeSegmentHeader, SEGMENT_HEADER_BYTES } from '../segment-header.ts';
import { CLUSTER_ID, TOPIC_ID } from './log-fixture.ts';

/** Directory of the partition on a memory disk. */
export const DIR = '/p';
const IDENTITY = { clusterId: CLUSTER_ID, topicId: TOPIC_ID, partition: 3 };
export const SEED = headerSeed(TOPIC_ID, 3);

/** Neither waits nor ends. */
export const AT_ONCE: CompactionHooks = { monotonicMs: () => 0, wait: () => Promise.resolve(), hashSeed: 12345 };

/** A record by the text of its key and value; an absent value is a tombstone. */
export interface PlannedRecord {
  readonly key?: string | undefined;
  readonly value?: string | undefined;
}

/** A stamped data batch. */
export function dataBatch(
  baseOffset: bigint,
  records: readonly PlannedRecord[],
  codec: BatchCodec = CODEC_NONE,
): Buffer {
  const builder = new BatchBuilder();
  records.forEach(({ key, value }, index) => {
    builder.tryAdd({
      key: key === undefined ? undefined : Buffer.from(key),
      value: value === undefined ? undefined : Buffer.from(value),
      timestampMs: 1000n + baseOffset + BigInt(index),
    });
  });
  return stamped(builder.build({ codec }), baseOffset);
}

/** A stamped control batch. */
export function controlBatch(baseOffset: bigint): Buffer {
  return stamped(buildControlBatch(BATCH_EPOCH_START, Buffer.from(`epoch at ${baseOffset}`), 5n), baseOffset);
}

function stamped(batch: Buffer, baseOffset: bigint): Buffer {
  stampBatch(batch, { baseOffset, leaderEpoch: Number(baseOffset / 50n), appendTimeMs: 9000n + baseOffset }, SEED);
  return batch;
}

/** Writes a sealed segment of these batches and says what the log would tell of it. */
export async function writeSegment(
  disk: Disk,
  directory: string,
  baseOffset: bigint,
  batches: readonly Buffer[],
): Promise<SealedSegment> {
  const header = encodeSegmentHeader({ ...IDENTITY, baseOffset, createTimeMs: 7000n + baseOffset, isSparse: false });
  const content = Buffer.concat([header, ...batches]);
  for (const [kind, bytes] of [
    ['log', content],
    ['idx', Buffer.from(`old index of ${baseOffset}`)],
    ['snapshot', Buffer.from(`snapshot of ${baseOffset}`)],
  ] as const) {
    const file = await disk.open(segmentPath(directory, baseOffset, kind), 'create');
    await file.writev([bytes], 0);
    await file.datasync();
    await file.close();
  }
  await disk.syncDirectory(directory);
  const last = batches.at(-1);
  return { baseOffset, endOffset: last === undefined ? baseOffset : lastOffsetAt(last, 0) + 1n, size: content.length };
}

/** A plan over the segments without bounds. */
export function planOf(
  directory: string,
  segments: readonly SealedSegment[],
  changes: Partial<CompactionPlan> = {},
): CompactionPlan {
  return {
    directory,
    identity: IDENTITY,
    segments,
    cutCount: 0,
    sessionEnds: [],
    cleanedTo: 0n,
    tombstonesEndBelow: 0n,
    segmentBytesMax: 1024 * 1024,
    mapBytesMax: 64 * 1024 * 1024,
    bytesPerSecondMax: undefined,
    ...changes,
  };
}

/** The segments in the directory, oldest first, with the batches that each holds. */
export async function readSegments(
  disk: Disk,
  directory: string,
): Promise<{ baseOffset: bigint; size: number; batches: Buffer[] }[]> {
  const segments = [];
  for (const name of await disk.list(directory)) {
    const parsed = parseSegmentName(name);
    if (parsed?.kind !== 'log') continue;
    const content = await disk.readFile(`${directory}/${name}`);
    const run = content.subarray(SEGMENT_HEADER_BYTES);
    const batches = [...batchesIn(run)].map(({ position, header }) =>
      Buffer.from(run.subarray(position, position + header.batchBytes)),
    );
    segments.push({ baseOffset: parsed.baseOffset, size: content.length, batches });
  }
  return segments;
}

/** The records of the data batches. */
export function recordsOf(batches: readonly Buffer[]): DecodedRecord[] {
  return batches.flatMap((batch) => {
    const { header, records } = decodeBatch(batch);
    return header.type === BATCH_DATA ? [...records] : [];
  });
}

/** A memory disk with an empty DIR. */
export async function newDisk(): Promise<MemoryDisk> {
  const disk = new MemoryDisk();
  await disk.makeDirectory(DIR);
  return disk;
}

/** Runs a pass and puts its result in place; returns it and the segments that the log has then. */
export async function compact(
  disk: MemoryDisk,
  segments: readonly SealedSegment[],
  changes: Partial<CompactionPlan> = {},
): Promise<{ result: CompactionResult; after: SealedSegment[] }> {
  const result = await compactSegments(disk, planOf(DIR, segments, changes), AT_ONCE);
  await swapIn(disk, DIR, { ...NEVER_COMPACTED, pending: result.groups.map(({ sources }) => sources) });
  const replaced = new Set(result.groups.flatMap(({ sources }) => sources));
  const after = [...segments.filter(({ baseOffset }) => !replaced.has(baseOffset)), ...result.groups];
  after.sort((a, b) => Number(a.baseOffset - b.baseOffset));
  return { result, after };
}

/** All batches of the log. */
export async function contentOf(disk: MemoryDisk): Promise<Buffer[]> {
  return (await readSegments(disk, DIR)).flatMap(({ batches }) => batches);
}

/** A record, its key and value as texts. */
export interface TextRecord {
  readonly offset: bigint;
  readonly key: string | undefined;
  readonly value: string | undefined;
}

export function text({ offset, key, value }: DecodedRecord): TextRecord {
  return { offset, key: key && Buffer.from(key).toString(), value: value && Buffer.from(value).toString() };
}
