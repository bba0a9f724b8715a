/**
 * The replica sets of one partition as what is committed says, by itself: which one is in force, and which have to agree
 * before a batch is committed. What replicas and coordinators believe is held against it.
 */
import type { PartitionState, ReplicaConfig, ReplicaIdentity } from '@partita/replication';
import { currentConfig } from '@partita/replication';
import type { Tally } from '../trace.ts';
import type { ReplicaDisk } from './replica-disk.ts';
import { changeOf } from './stored-batch.ts';
import type { StoredBatch } from './stored-batch.ts';

interface CommittedConfig {
  readonly config: ReplicaConfig;
  /** Epoch whose leader committed it. */
  readonly epoch: number;
}

export class ConfigOracle {
  /** Oldest first. */
  #committed: CommittedConfig[];

  constructor(initial: ReplicaConfig) {
    this.#committed = [{ config: initial, epoch: 0 }];
  }

  get inForce(): ReplicaConfig {
    const last = this.#committed.at(-1);
    if (last === undefined) throw new RangeError('a partition begins with a config');
    return last.config;
  }

  /** The newest that was committed before the epoch. */
  inForceBefore(epoch: number): ReplicaConfig {
    return this.#committed.findLast((known) => known.epoch < epoch)?.config ?? this.inForce;
  }

  /** Whose m replicas the batch needs: of the set in force, and of the one that it makes. */
  setsFor(batch: StoredBatch): readonly ReplicaConfig[] {
    const change = changeOf(batch);
    return change === undefined ? [this.inForce] : [this.inForce, change];
  }

  /** The batch is committed. Why it may not be, or undefined. */
  commit(batch: StoredBatch, tally: Tally): string | undefined {
    const change = changeOf(batch);
    if (change === undefined) return undefined;
    const before = this.inForce;
    this.#committed.push({ config: change, epoch: batch.committedIn });
    tally.add('seen: change committed');
    if (change.minInSyncReplicas !== before.minInSyncReplicas) tally.add('seen: min in-sync changed');
    if (change.version <= before.version) return `config ${change.version} follows config ${before.version}`;
    const removed = before.replicas.filter((member) => !isIn(change.replicas, member));
    const added = change.replicas.filter((member) => !isIn(before.replicas, member));
    if (removed.length > 0) tally.add('seen: member removed');
    if (added.length > 0) tally.add('seen: learner promoted');
    if (added.length + removed.length > 1) return `config ${change.version} changes several members at once`;
    const stranger = added.find((member) => !isIn(before.learners, member));
    return stranger && `${stranger.replicaId} was no learner`;
  }

  /** An operator gave committed records up: these are left. */
  restart(committed: readonly StoredBatch[]): void {
    this.#committed = this.#committed.filter(
      ({ config, epoch }) => epoch === 0 || committed.some((batch) => changeOf(batch) === config),
    );
  }

  /** Why the replica may not take for committed what it does, or undefined. */
  fault(state: Readonly<PartitionState>): string | undefined {
    const { version } = this.inForce;
    if (state.configFloor > version) return `takes config ${state.configFloor} for committed, ${version} is`;
    const own = currentConfig(state);
    const known = this.#committed.find(({ config }) => config.version === own.version);
    return known?.config === own ? undefined : `has another config ${own.version} in force`;
  }

  /** True when the replica knows by its journal that it was removed. */
  isRemoved({ identity, committedConfig }: ReplicaDisk): boolean {
    return !isIn([...committedConfig.replicas, ...committedConfig.learners], identity);
  }
}

export function isIn(replicas: readonly ReplicaIdentity[], { replicaId }: ReplicaIdentity): boolean {
  return replicas.some((replica) => replica.replicaId === replicaId);
}
