/** Reads one segment for who wants to print it: header, then every batch, and what is damaged between. */
import { headerSeed } from '@partita/batch';
import type { ReadingDisk } from '../disk.ts';
import { decodeSegmentHeader, SEGMENT_HEADER_BYTES } from '../segment-header.ts';
import type { SegmentHeader } from '../segment-header.ts';
import { walkBatches } from './batch-walk.ts';
import type { WalkedBatch, WalkedGap } from './batch-walk.ts';

/** The header of the file, undefined when it is damaged; or a step of walkBatches. */
export type SegmentStep =
  | { readonly kind: 'segment'; readonly header: SegmentHeader | undefined; readonly fileBytes: number }
  | WalkedBatch
  | WalkedGap;

/** The file at `path` in order, a window of it in memory. Header checksums are held against the given partition. */
export async function* walkSegment(
  disk: ReadingDisk,
  path: string,
  whose: { readonly topicId: string; readonly partition: number },
): AsyncGenerator<SegmentStep, void, undefined> {
  const file = await disk.open(path, 'read');
  try {
    const fileBytes = await file.size();
    const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES);
    const header = decodeSegmentHeader(bytes.subarray(0, await file.read(bytes, 0)));
    yield { kind: 'segment', header, fileBytes };
    const seed = headerSeed(whose.topicId, whose.partition);
    yield* walkBatches({ file, seed, position: SEGMENT_HEADER_BYTES, end: fileBytes });
  } finally {
    await file.close();
  }
}
