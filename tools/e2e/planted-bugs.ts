/** Brokers with a bug put in on purpose, to see that the history checker finds it: one line of the source is another. */

export interface PlantedBug {
  readonly name: string;
  /** End of the file's path. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
  /** What the checker calls the consequence. */
  readonly anomaly: string;
}

/** Name of the environment variable that chooses one for the processes that load plant-bug.ts. */
export const BUG_VARIABLE = 'PLANTED_BUG';

export const PLANTED_BUGS: readonly PlantedBug[] = [
  {
    name: 'acks=all is answered when the record is durable at the leader alone',
    file: 'libs/replication/src/commitment.ts',
    from: "entry.request.acks === 'all' ? state.highWatermark : state.durableEnd",
    to: 'state.durableEnd',
    anomaly: 'lost-write',
  },
  {
    name: 'what is durable at the leader alone counts as committed',
    file: 'libs/replication/src/high-watermark.ts',
    from: 'const end = held < ownEnd ? held : ownEnd;',
    to: 'const end = ownEnd;',
    anomaly: 'inconsistent-offsets',
  },
];
