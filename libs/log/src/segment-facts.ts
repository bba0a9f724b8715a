/** What retention and compaction ask of a sealed segment without reading its batches. */
import { appendTimeMsAt, HEADER_BYTES } from '@partita/batch';
import { isIntactHeader } from './batch-scan.ts';
import { corruptBatch } from './segment.ts';
import type { Segment } from './segment.ts';

export interface SegmentFacts {
  /** Highest timestamp of its records, milliseconds UTC; undefined without a batch. */
  readonly maxTimestampMs: bigint | undefined;
  /** Leader's clock when its last batch was appended; undefined without a batch. */
  readonly lastAppendTimeMs: bigint | undefined;
}

/** Looks the facts of a sealed segment up, by the index and one header, and keeps them: they never change. */
export async function segmentFacts(segment: Segment): Promise<SegmentFacts> {
  if (segment.facts !== undefined) return segment.facts;
  const index = await segment.index();
  const last = index.at(index.count - 1);
  segment.facts = {
    maxTimestampMs: index.maxTimestampMs,
    lastAppendTimeMs: last === undefined ? undefined : await appendTimeAt(segment, last.position),
  };
  return segment.facts;
}

async function appendTimeAt(segment: Segment, position: number): Promise<bigint> {
  const header = Buffer.alloc(HEADER_BYTES);
  await segment.use((file) => file.read(header, position));
  if (!isIntactHeader(header, 0, segment.home.seed)) {
    throw corruptBatch(segment.home, segment.path, position, 'the header of a batch does not match its checksum');
  }
  return appendTimeMsAt(header, 0);
}
