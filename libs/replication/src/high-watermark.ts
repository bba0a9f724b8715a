/** The rule of commitment (REPLICATION: "ISR, HW, ack"). */

/** What a leader knows when it asks how far its log is committed. */
export interface CommitView {
  /** Durable ends of the in-sync replicas, the leader's own included, exclusive. */
  readonly inSyncEnds: readonly bigint[];
  /** m: in-sync replicas that must hold a record. */
  readonly minInSyncReplicas: number;
  /** Offset of the first record of the leader's epoch. */
  readonly epochStartOffset: bigint;
  /** The watermark as it stands. */
  readonly highWatermark: bigint;
}

/**
 * The high watermark, exclusive: the lowest durable end among the in-sync replicas, if these are at least m and the
 * epoch's first record is below it (records of earlier epochs are committed with it, never by counting alone). It never
 * falls.
 */
export function committedEnd(view: CommitView): bigint {
  if (view.inSyncEnds.length < view.minInSyncReplicas) return view.highWatermark;
  let lowest = view.inSyncEnds[0] ?? 0n;
  for (const end of view.inSyncEnds) if (end < lowest) lowest = end;
  if (lowest <= view.epochStartOffset) return view.highWatermark;
  return lowest > view.highWatermark ? lowest : view.highWatermark;
}
