/**
 * Names of the files of a partition: `<base offset, 20 digits>` and `.log` (batches), `.idx` (sparse index of a log),
 * `.snapshot` (state of the partition before that offset). Twenty digits sort as text in the order of the offsets.
 */
const NAME = /^(\d{20})\.(log|idx|snapshot)$/;
const DIGITS = 20;

export type SegmentFileKind = 'log' | 'idx' | 'snapshot';

/** Path of a file of the segment that begins at the offset. */
export function segmentPath(directory: string, baseOffset: bigint, kind: SegmentFileKind): string {
  return `${directory}/${baseOffset.toString().padStart(DIGITS, '0')}.${kind}`;
}

/** What a file of that name is, or undefined when it is none of a partition's. */
export function parseSegmentName(name: string): { baseOffset: bigint; kind: SegmentFileKind } | undefined {
  const match = NAME.exec(name);
  const digits = match?.[1];
  if (digits === undefined) return undefined;
  return { baseOffset: BigInt(digits), kind: match?.[2] as SegmentFileKind };
}
