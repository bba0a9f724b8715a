/** The rows of the replication bench: what each safety costs, as the ratio of two settings, or of ours and raw. */
import type { Safety } from '../topics.ts';

export interface ReplicationSide {
  readonly name: string;
  /** What it runs on: topics of a cluster of ours, or raw replicas, which may have a disk. */
  readonly on: Safety | 'raw' | 'raw with disks';
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
  on: { replicationFactor: 3, flush: 'fsync' },
};

const UNSYNCED: ReplicationSide = {
  name: 'replication 3, flush=os',
  on: { replicationFactor: 3, flush: 'os' },
};
const RAW: ReplicationSide = { name: 'raw gRPC, the same hops', on: 'raw' };

export const REPLICATION_ROWS: readonly ReplicationRow[] = [
  {
    name: 'factor',
    measured: SAFE,
    against: { name: 'replication 1, flush=fsync', on: { replicationFactor: 1, flush: 'fsync' } },
  },
  { name: 'flush', measured: UNSYNCED, against: SAFE },
  // Without a target: one side waits for disks, the other has none.
  { name: 'raw', measured: SAFE, against: RAW },
  // Both sides wait for three disks.
  {
    name: 'raw-disk',
    measured: SAFE,
    against: { name: 'raw gRPC, the same hops and disks', on: 'raw with disks' },
    target: 0.6,
  },
  // Neither side waits for a disk.
  { name: 'raw-os', measured: UNSYNCED, against: RAW, target: 0.6 },
];
