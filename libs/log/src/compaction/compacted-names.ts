/** Names of the files that a compaction makes beside those of the log: `.compacted` behind the name they are to take. */
import { segmentPath } from '../segment-files.ts';

const SUFFIX = '.compacted';

/** Path of the file that is to become the `.log` or `.idx` of the segment with that base offset. */
export function compactedPath(directory: string, baseOffset: bigint, kind: 'log' | 'idx'): string {
  return `${segmentPath(directory, baseOffset, kind)}${SUFFIX}`;
}

/** True for the name of a file that a compaction made and that has not taken its place. */
export function isCompactedName(name: string): boolean {
  return name.endsWith(SUFFIX);
}

/** True for the name of any file that a start has to look at before it believes the others. */
export function isCompactionName(name: string): boolean {
  return name === 'compaction' || isCompactedName(name);
}
