/** Where a workload works: what all its clients share. */
import type { Recorder } from './recorder.ts';

export interface Site {
  readonly endpoints: readonly string[];
  readonly topic: string;
  readonly partitionCount: number;
  readonly recorder: Recorder;
  /** Aborts when no operation is to begin any more. */
  readonly stopping: AbortSignal;
}
