/** What a load of the consume bench does; goes with its job to the load's process. */

/** How records come to the SDK's consumer. */
export type Delivery = 'records' | 'batches' | 'direct';

export interface ConsumeWork {
  readonly delivery: Delivery;
  /** Handed out one by one, or as many of a partition as there are, up to 1,000. */
  readonly style: 'each' | 'batch';
  /** Of one record, as serialised. */
  readonly recordBytes: number;
  readonly partitionCount: number;
  readonly memberCount: number;
  /** True = to the end of the topic and no further; else from its start again. */
  readonly isOnce: boolean;
}

/** Records a second that the latency rows send. */
export const LATENCY_RATE = 1000;
