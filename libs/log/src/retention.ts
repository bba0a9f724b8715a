/**
 * Which segments a partition need no longer keep (REPLICATION: "Storage rules"). Whole segments go, oldest first, never
 * the active one, never above the high watermark. By age: when the records are too old and the leader appended them long
 * enough ago too, so that records with old timestamps that were just written stay for a while. By bytes: while what is
 * left is still at least the limit.
 */
import type { PartitionLog } from './partition-log.ts';
import { segmentFacts } from './segment-facts.ts';
import type { SegmentFacts } from './segment-facts.ts';

export interface RetentionRules {
  /** Milliseconds; Infinity = no limit. */
  readonly ageMsMax: number;
  /** Infinity = no limit. */
  readonly bytesMax: number;
  /** Wall clock, milliseconds UTC. */
  readonly nowMs: number;
  readonly highWatermark: bigint;
  /** Segments that one look may let go of. */
  readonly segmentCountMax: number;
}

/** The offset below which all may go, or undefined when everything must stay. */
export async function retentionStart(log: PartitionLog, rules: RetentionRules): Promise<bigint | undefined> {
  let excessBytes = log.bytes - rules.bytesMax;
  let start: bigint | undefined;
  for (const segment of log.segments.slice(0, -1).slice(0, rules.segmentCountMax)) {
    if (segment.endOffset > rules.highWatermark) break;
    excessBytes -= segment.size;
    if (excessBytes < 0 && !isOld(await log.undisturbed(() => segmentFacts(segment)), rules)) break;
    start = segment.endOffset;
  }
  return start;
}

/** True when the active segment is all that is left, and old: it is to be closed, so that it can go. */
export async function isActiveOld(log: PartitionLog, rules: RetentionRules): Promise<boolean> {
  const active = log.segments.at(-1);
  if (active === undefined || active.isEmpty || log.segments.length > 1) return false;
  if (rules.ageMsMax === Infinity || active.endOffset > rules.highWatermark) return false;
  const { maxTimestampMs } = await active.index();
  return isOld({ maxTimestampMs, lastAppendTimeMs: log.state.lastAppendTimeMs }, rules);
}

function isOld({ maxTimestampMs = 0n, lastAppendTimeMs = 0n }: SegmentFacts, rules: RetentionRules): boolean {
  if (rules.ageMsMax === Infinity) return false;
  const limitMs = BigInt(Math.floor(rules.nowMs - rules.ageMsMax));
  return maxTimestampMs < limitMs && lastAppendTimeMs < limitMs;
}
