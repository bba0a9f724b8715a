/** The rule of commitment (REPLICATION: "ISR, HW, ack"; docs/adr: the m-th highest end). */

/** What a leader knows when it asks how far its log is committed. */
export interface CommitView {
  /** Durable ends of the in-sync members of the set, exclusive; the leader's own among them if it is one. */
  readonly inSyncEnds: readonly bigint[];
  /** The leader's own durable end, exclusive. */
  readonly ownEnd: bigint;
  /** m: in-sync replicas that must hold a record. */
  readonly minInSyncReplicas: number;
  /** Offset of the first record of the leader's epoch. */
  readonly epochStartOffset: bigint;
  /** The watermark as it stands. */
  readonly highWatermark: bigint;
}

/**
 * The high watermark, exclusive: the end that m in-sync replicas have reached, the leader among them, if the epoch's first
 * record is below it (records of earlier epochs are committed with it, never by counting alone). It never falls.
 */
export function committedEnd(view: CommitView): bigint {
  const { inSyncEnds, ownEnd, minInSyncReplicas, epochStartOffset, highWatermark } = view;
  const held = inSyncEnds.toSorted((a, b) => (a < b ? 1 : a > b ? -1 : 0))[minInSyncReplicas - 1];
  if (held === undefined) return highWatermark;
  const end = held < ownEnd ? held : ownEnd;
  return end > epochStartOffset && end > highWatermark ? end : highWatermark;
}
