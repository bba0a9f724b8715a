/** Whether recovery would take the faults at the end of a log's last segment for a torn write (see FORMAT.md). */
import { WRITE_BYTES_MAX } from '@partita/domain';
import { SEGMENT_HEADER_BYTES } from '../segment-header.ts';
import type { IndexEntry } from '../offset-index.ts';

/** The first fault of the last segment, and what is known of the log. */
export interface FaultyTail {
  /** Where the fault begins, and the offset that was due there. */
  readonly position: number;
  readonly nextOffset: bigint;
  /** Where the last batch with an intact header begins that stands behind it; undefined without one. */
  readonly lastBehind: number | undefined;
  /** Last intact entry of the segment's index. */
  readonly indexed: IndexEntry | undefined;
  readonly knownSynced: bigint;
  readonly closedClean: boolean;
  readonly flush: 'fsync' | 'os';
}

/** True when the next start cuts the log there, and nothing that was acknowledged is lost. */
export function isTornTail(tail: FaultyTail): boolean {
  if (tail.closedClean) return false;
  const synced = tail.indexed === undefined ? SEGMENT_HEADER_BYTES : tail.indexed.position + tail.indexed.batchBytes;
  if (tail.position < synced || tail.nextOffset < tail.knownSynced) return false;
  const tornBytesMax = tail.flush === 'fsync' ? WRITE_BYTES_MAX : 0;
  return tail.lastBehind === undefined || tail.lastBehind < tail.position + tornBytesMax;
}
