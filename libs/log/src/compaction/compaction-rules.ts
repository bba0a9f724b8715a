/** Whether a log is worth a compaction now, and of which segments. */
import { COMPACTION_DIRTY_SHARE_MIN, COMPACTION_MAP_BYTES_MAX, COMPACTION_WAIT_MS_MAX } from '@partita/domain';
import type { PartitionLog } from '../partition-log.ts';
import { segmentFacts } from '../segment-facts.ts';
import type { Segment } from '../segment.ts';
import type { CompactionPlan } from './compaction-plan.ts';
import { tombstonesEndBelow } from './compaction-state.ts';

export interface CompactionRules {
  /** Wall clock, milliseconds UTC. */
  readonly nowMs: number;
  readonly highWatermark: bigint;
  /** A record is left alone until this long after its append. */
  readonly lagMs: number;
  /** Infinity = no tombstone goes. */
  readonly tombstoneDelayMs: number;
  readonly bytesPerSecondMax: number | undefined;
}

/**
 * The plan of a pass over all sealed segments below the high watermark whose records are old enough; undefined when it is
 * not worth it. It is when the new records make up half of the bytes, or have waited for a day, or when tombstones may go.
 */
export async function planCompaction(log: PartitionLog, rules: CompactionRules): Promise<CompactionPlan | undefined> {
  const segments = await ripeSegments(log, rules);
  const { cleanedTo } = log.compaction;
  // A high watermark that a restart set back, or a longer lag: the keys up to there are known only in one pass.
  if ((segments.at(-1)?.endOffset ?? 0n) < cleanedTo) return undefined;
  const dirty = segments.filter(({ endOffset }) => endOffset > cleanedTo);
  const ended = tombstonesEnd(log, rules);
  if (!(await isWorthIt(log, segments, dirty, rules)) && ended <= (log.tombstonesEndedBelow ?? ended)) return undefined;
  return {
    directory: log.place.directory,
    identity: log.place.identity,
    segments: segments.map(({ baseOffset, endOffset, size }) => ({ baseOffset, endOffset, size })),
    cutCount: log.cutCount,
    cleanedTo,
    tombstonesEndBelow: ended,
    sessionEnds: log.state.sessionEnds,
    segmentBytesMax: log.settings.segmentBytesMax,
    mapBytesMax: COMPACTION_MAP_BYTES_MAX,
    bytesPerSecondMax: rules.bytesPerSecondMax,
  };
}

function tombstonesEnd(log: PartitionLog, { nowMs, tombstoneDelayMs }: CompactionRules): bigint {
  if (tombstoneDelayMs === Infinity) return 0n;
  return tombstonesEndBelow(log.compaction, BigInt(Math.floor(nowMs)), BigInt(Math.floor(tombstoneDelayMs)));
}

async function ripeSegments(log: PartitionLog, { highWatermark, nowMs, lagMs }: CompactionRules): Promise<Segment[]> {
  const ripe: Segment[] = [];
  // A replica that copies this log learns of sessions and requests by what it copies: it could not tell a repeated batch
  // that a compaction has changed.
  const repeatable = log.state.repeatableFrom(nowMs) ?? log.logEnd;
  for (const segment of log.segments.slice(0, -1)) {
    if (segment.endOffset > highWatermark || segment.endOffset > repeatable) break;
    if (lagMs > 0) {
      const { lastAppendTimeMs = 0n } = await log.undisturbed(() => segmentFacts(segment));
      if (Number(lastAppendTimeMs) > nowMs - lagMs) break;
    }
    ripe.push(segment);
  }
  return ripe;
}

async function isWorthIt(
  log: PartitionLog,
  segments: readonly Segment[],
  dirty: readonly Segment[],
  { nowMs }: CompactionRules,
): Promise<boolean> {
  const [oldest] = dirty;
  if (oldest === undefined) return false;
  if (bytesOf(dirty) >= COMPACTION_DIRTY_SHARE_MIN * bytesOf(segments)) return true;
  const { lastAppendTimeMs = 0n } = await log.undisturbed(() => segmentFacts(oldest));
  return nowMs - Number(lastAppendTimeMs) > COMPACTION_WAIT_MS_MAX;
}

function bytesOf(segments: readonly Segment[]): number {
  return segments.reduce((sum, { size }) => sum + size, 0);
}
