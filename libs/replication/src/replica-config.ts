/** The replica set of a partition, as a CONFIG or EPOCH_START record in its log holds it. */

/** One copy of a partition. A wiped disk or a replica made again is another copy, whatever its broker's id. */
export interface ReplicaIdentity {
  readonly brokerId: number;
  /** UUID of the data directory. */
  readonly directoryId: string;
  /** UUID of this copy, new for each creation. */
  readonly replicaId: string;
}

/** What makes bytes durable: `fsync` survives power loss, `os` (page cache) survives kill -9 only. */
export type FlushMode = 'fsync' | 'os';

/** A replica set. Versions grow by one with each change; the first is 1. */
export interface ReplicaConfig {
  readonly version: number;
  /** Members, preferred leader first. */
  readonly replicas: readonly ReplicaIdentity[];
  /** Members that copy the log and do not count yet. */
  readonly learners: readonly ReplicaIdentity[];
  /** In-sync replicas that an acks=all append needs: m. */
  readonly minInSyncReplicas: number;
  readonly flush: FlushMode;
}

/** True when the replica is a full member: it votes and may lead. */
export function isMember(config: ReplicaConfig, replicaId: string): boolean {
  return config.replicas.some((replica) => replica.replicaId === replicaId);
}

/** True when the replica may copy the log: a member or a learner. */
export function belongsTo(config: ReplicaConfig, replicaId: string): boolean {
  return [...config.replicas, ...config.learners].some((replica) => replica.replicaId === replicaId);
}

/** Of configs of a log, newest first: the newest version that is committed for certain, since another one follows it. */
export function committedBelow([newest, before]: readonly ReplicaConfig[]): number {
  return (before ?? newest)?.version ?? 0;
}

/** Why nobody can work with the config, or undefined when it is sound. */
export function configFault(config: ReplicaConfig): string | undefined {
  const { version, replicas, learners, minInSyncReplicas } = config;
  if (version < 1) return `config version ${version} is below 1`;
  if (replicas.length === 0) return 'a replica set has at least one member';
  if (minInSyncReplicas < 1 || minInSyncReplicas > replicas.length) {
    return `min_in_sync_replicas ${minInSyncReplicas} is outside 1..${replicas.length}`;
  }
  const everybody = [...replicas, ...learners];
  if (new Set(everybody.map((replica) => replica.brokerId)).size < everybody.length) {
    return 'a broker holds at most one replica of a partition';
  }
  return undefined;
}
