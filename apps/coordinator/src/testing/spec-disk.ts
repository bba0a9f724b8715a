/** What a broker of the specs keeps through its restarts, and what it takes of orders about replica sets. */
import { randomUUID } from 'node:crypto';
import { PartitaError } from '@partita/domain';
import type {
  DeleteReplicaRequest,
  Replica,
  ReplicaConfigRecord,
  ReplicaToCreate,
  Status,
  TopicConfig,
  TopicTombstone,
} from '@partita/protocol';
import { toRpcStatus } from '@partita/rpc';

/** Each record is as large as a partition of some use. */
export const BYTES_OF_RECORD = 1_000_000n;

export interface DiskReplica {
  readonly made: ReplicaToCreate;
  /** The newest that it knows to be committed. */
  config: ReplicaConfigRecord;
  promisedEpoch: number;
  nonce: string;
  lastEpoch: number;
  logEnd: bigint;
  suspect: boolean;
}

/** What survives a restart. */
export interface SpecDisk {
  readonly brokerId: number;
  readonly directoryId: string;
  incarnation: bigint;
  readonly topics: Map<string, TopicConfig>;
  readonly replicas: Map<string, DiskReplica>;
  readonly tombstones: Map<string, TopicTombstone>;
  /** What is kept of deleted replicas, by key. */
  readonly floors: Map<string, { readonly configVersion: number; readonly epoch: number }>;
}

export function newDisk(brokerId: number): SpecDisk {
  return {
    brokerId,
    directoryId: randomUUID(),
    incarnation: 0n,
    topics: new Map(),
    replicas: new Map(),
    tombstones: new Map(),
    floors: new Map(),
  };
}

/** Makes it, once; refuses one that comes late. */
export function makeReplica(disk: SpecDisk, made: ReplicaToCreate): Status {
  const key = `${made.topicId}/${made.partition}`;
  const config = made.config!;
  const known = disk.replicas.get(key);
  if (known?.made.replicaId === made.replicaId) return { code: 0, message: '', details: [] };
  const isLate = known !== undefined || (disk.floors.get(key)?.configVersion ?? 0) >= config.configVersion;
  if (isLate) return toRpcStatus(new PartitaError('FENCED_EPOCH', 'as new a set is known here without it'));
  const empty = { promisedEpoch: made.promisedEpoch, nonce: '', lastEpoch: 0, logEnd: 0n, suspect: false };
  disk.replicas.set(key, { made, config, ...empty });
  return { code: 0, message: '', details: [] };
}

export function deleteReplica(disk: SpecDisk, request: DeleteReplicaRequest): void {
  const { topicId, partition, replicaId, configVersion, leaderEpoch } = request;
  const key = `${topicId}/${partition}`;
  const replica = disk.replicas.get(key);
  if (replica?.made.replicaId !== replicaId) throw new PartitaError('REPLICA_NOT_FOUND', 'no such replica');
  if (replica.config.configVersion > configVersion) throw new PartitaError('FENCED_EPOCH', 'a newer set is known');
  disk.replicas.delete(key);
  disk.floors.set(key, { configVersion, epoch: Math.max(leaderEpoch, replica.promisedEpoch) });
}

/** One member at a time, never the leader, and enough of both sets have to hold it. */
export function checkProposal(
  leader: DiskReplica,
  config: ReplicaConfigRecord,
  replicaOn: (brokerId: number) => DiskReplica | undefined,
): void {
  const before = leader.config;
  const isHeld = ({ brokerId, replicaId }: Replica) => replicaOn(brokerId)?.made.replicaId === replicaId;
  const ids = ({ replicas }: ReplicaConfigRecord) => replicas.map(({ replicaId }) => replicaId);
  const added = config.replicas.filter(({ replicaId }) => !ids(before).includes(replicaId));
  const gone = before.replicas.filter(({ replicaId }) => !ids(config).includes(replicaId));
  const isLeaderGone = gone.some(({ replicaId }) => replicaId === leader.made.replicaId);
  if (config.configVersion !== before.configVersion + 1 || added.length + gone.length > 1 || isLeaderGone)
    throw new PartitaError('REPLICA_CHANGE_REFUSED', 'not one step', { refusal: 'not-one-step' });
  for (const { replicas, minInSyncReplicas } of [before, config])
    if (replicas.filter(isHeld).length < minInSyncReplicas)
      throw new PartitaError('REPLICA_CHANGE_REFUSED', 'too few hold it', { refusal: 'not-enough-in-sync' });
}
