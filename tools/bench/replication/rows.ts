/** The rows of the replication bench: what each safety costs, as the ratio of two settings, or of ours and raw. */
import type { Safety } from '../topics.ts';

/** Topics that a side writes to; undefined = the raw replicas. */
export interface ReplicationSide {
  readonly name: string;
  readonly topic?: Safety;
}

export interface ReplicationRow {
  /** For --rows. */
  readonly name: string;
  readonly measured: ReplicationSide;
  readonly against: ReplicationSide;
  /** What the ratio should be at least. */
  readonly target?: number;
}

const SAFE: ReplicationSide = {
  name: 'replication 3, flush=fsync',
  topic: { replicationFactor: 3, flush: 'fsync' },
};

const UNSYNCED: ReplicationSide = {
  name: 'replication 3, flush=os',
  topic: { replicationFactor: 3, flush: 'os' },
};
const RAW: ReplicationSide = { name: 'raw gRPC, the same hops' };

export const REPLICATION_ROWS: readonly ReplicationRow[] = [
  {
    name: 'factor',
    measured: SAFE,
    against: { name: 'replication 1, flush=fsync', topic: { replicationFactor: 1, flush: 'fsync' } },
  },
  { name: 'flush', measured: UNSYNCED, against: SAFE },
  { name: 'raw', measured: SAFE, against: RAW, target: 0.6 },
  // The raw replicas have no disk: this one is replication alone, with the bytes on their way to it.
  { name: 'raw-os', measured: UNSYNCED, against: RAW, target: 0.6 },
];
