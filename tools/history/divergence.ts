/**
 * Holds the replicas of a partition against each other as they lie on the disks of stopped brokers: below the high
 * watermark every batch is the same, byte by byte with its header, on all of them. Only for topics without compaction,
 * which every replica does by itself. What is below the highest log start is not compared, since retention may have taken
 * it from some; the answer says where the comparison began.
 */
import { batchBytesAt, baseOffsetAt, lastOffsetAt } from '@partita/batch';
import { createNodeDisk, listSegments, walkSegment } from '@partita/log';

export interface Replicas {
  /** Data directories of the brokers. */
  readonly dataDirs: readonly string[];
  readonly topicId: string;
  readonly partition: number;
  /** Exclusive: only what is below must be the same. */
  readonly highWatermark: bigint;
}

export interface Divergence {
  readonly kind: 'different bytes' | 'missing below the high watermark' | 'damaged';
  /** Where it begins. */
  readonly offset: bigint;
  /** Whose replica; for different bytes, one that differs from the first replica. */
  readonly dataDir: string;
}

export interface Comparison {
  readonly from: bigint;
  readonly batchCount: number;
  /** Undefined: they are the same. */
  readonly divergence: Divergence | undefined;
}

/** Reads all replicas side by side, a window of each in memory. */
export async function compareReplicas(replicas: Replicas): Promise<Comparison> {
  const sides = await Promise.all(replicas.dataDirs.map((dataDir) => openSide(replicas, dataDir)));
  const from = sides.reduce((start, side) => (side.logStart > start ? side.logStart : start), 0n);
  let batchCount = 0;
  try {
    for (let offset = from; offset < replicas.highWatermark;) {
      const steps: Step[] = [];
      for (const side of sides) steps.push(await nextAt(side, offset));
      const [first] = steps;
      const divergence = steps.map((step, number) => judge(step, first, offset, sides[number]?.dataDir ?? ''));
      const found = divergence.find((judged) => judged !== undefined);
      if (found !== undefined || first?.kind !== 'batch') return { from, batchCount, divergence: found };
      batchCount += 1;
      offset = first.lastOffset + 1n;
    }
    return { from, batchCount, divergence: undefined };
  } finally {
    for (const { batches } of sides) await batches.return();
  }
}

type Step =
  | { readonly kind: 'end' }
  | { readonly kind: 'damage' }
  | { readonly kind: 'batch'; readonly baseOffset: bigint; readonly lastOffset: bigint; readonly bytes: Buffer };

interface Side {
  readonly dataDir: string;
  readonly logStart: bigint;
  /** Bytes of a step are valid until the next. */
  readonly batches: AsyncGenerator<Step, void, undefined>;
}

async function openSide({ topicId, partition }: Replicas, dataDir: string): Promise<Side> {
  const disk = createNodeDisk();
  const segments = await listSegments(disk, `${dataDir}/${topicId}/${partition}`).catch(() => []);
  async function* batches(): AsyncGenerator<Step, void, undefined> {
    for (const { path } of segments) {
      for await (const step of walkSegment(disk, path, { topicId, partition })) {
        if (step.kind === 'gap') yield { kind: 'damage' };
        else if (step.kind === 'batch') yield batchOf(step);
      }
    }
  }
  return { dataDir, logStart: segments[0]?.baseOffset ?? 0n, batches: batches() };
}

function batchOf({
  bytes,
  at,
  isWhole,
  fault,
}: {
  bytes: Buffer;
  at: number;
  isWhole: boolean;
  fault: string | undefined;
}): Step {
  if (!isWhole || fault !== undefined) return { kind: 'damage' };
  const batch = bytes.subarray(at, at + batchBytesAt(bytes, at));
  return { kind: 'batch', baseOffset: baseOffsetAt(bytes, at), lastOffset: lastOffsetAt(bytes, at), bytes: batch };
}

/** The first step that reaches the offset. */
async function nextAt(side: Side, offset: bigint): Promise<Step> {
  for (;;) {
    const { value } = await side.batches.next();
    if (value === undefined) return { kind: 'end' };
    if (value.kind !== 'batch' || value.lastOffset >= offset) return value;
  }
}

function judge(step: Step, first: Step | undefined, offset: bigint, dataDir: string): Divergence | undefined {
  if (step.kind === 'damage') return { kind: 'damaged', offset, dataDir };
  // Batches follow each other without a hole, but for compaction.
  if (step.kind === 'end' || step.baseOffset > offset)
    return { kind: 'missing below the high watermark', offset, dataDir };
  if (first?.kind !== 'batch' || step.bytes.equals(first.bytes)) return undefined;
  return { kind: 'different bytes', offset, dataDir };
}
