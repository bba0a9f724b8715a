/** How many bytes of a log lie from an offset on, as its index tells: off by at most an index interval and a batch. */
import { SEGMENT_HEADER_BYTES } from './segment-header.ts';
import type { Segment } from './segment.ts';

/** Durable bytes of batches from the one that holds the offset on. Run it with the log's `undisturbed`. */
export async function bytesFrom(segments: readonly Segment[], offset: bigint): Promise<number> {
  let bytes = 0;
  for (const segment of segments.filter(({ endOffset }) => endOffset > offset)) {
    bytes += segment.size - (await positionOf(segment, offset));
  }
  return bytes;
}

async function positionOf(segment: Segment, offset: bigint): Promise<number> {
  if (segment.baseOffset >= offset) return SEGMENT_HEADER_BYTES;
  const index = await segment.index();
  return index.at(index.floorNumber(offset))?.position ?? SEGMENT_HEADER_BYTES;
}
