/** A batch on its way to a partition, whoever carries it there. */
import type { PartitaError } from '@partita/domain';
import type { Acks, AppendAck } from '@partita/protocol';
import type { BatchTrace } from './batch-trace.ts';

/** What became of a batch. */
export type AppendOutcome = AppendAck | PartitaError;

/** A batch to append. */
export interface AppendJob {
  readonly topicId: string;
  readonly topic: string;
  readonly partition: number;
  /** A serialised RecordBatches with one batch. Not changed, not kept after `done`. */
  readonly recordBatches: Uint8Array;
  /**
   * The producer session whose batch it is. The leader knows such a batch again, so it is sent again when it is in doubt, and
   * several of a session are under way at once. Absent or empty: a batch without a session, which is sent again only when it
   * certainly was not stored, alone and after all earlier ones.
   */
  readonly session?: string;
  /** True = the caller named the partition; false = the keys did, and are checked against its range. Default true. */
  readonly partitionChosen?: boolean;
  readonly acks?: Acks;
  readonly expectedNextOffset?: bigint;
  readonly claimEpoch?: number;
  /** Set when a sampled trace holds the batch. */
  readonly trace?: BatchTrace | undefined;
  /** Monotonic milliseconds (performance.now) after which the job fails. Default: 30 s from now. */
  readonly deadlineAtMs?: number;
  /** Called once, never before `append` returns. */
  readonly done: (outcome: AppendOutcome) => void;
}

/** Where batches go: to the leaders, or to a gateway. */
export interface BatchSink {
  append(job: AppendJob): void;
}
