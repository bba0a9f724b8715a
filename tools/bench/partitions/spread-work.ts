/** What the load of the partitions bench does; goes with its job to the load's process. */
export interface SpreadWork {
  readonly partitionCount: number;
  /** Records that are due in a second, over all partitions. */
  readonly ratePerSecond: number;
}
