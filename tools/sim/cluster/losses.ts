/**
 * Which replicas have lost their disks. Fewer than m of a partition may, in each replica set that may be in force; a fault
 * that would take more is not injected, since nothing is promised then.
 */
import type { ReplicaConfig } from '@partita/replication';
import type { World } from './world.ts';

export class Losses {
  readonly #world: World;
  /** Ids of replicas on disks that are gone. */
  readonly #lost = new Set<string>();

  constructor(world: World) {
    this.#world = world;
  }

  isLost(replicaId: string): boolean {
    return this.#lost.has(replicaId);
  }

  /** True when every partition stays within what it can bear if the broker's disk is lost. */
  mayLose(brokerId: number): boolean {
    const { clients, oracle } = this.#world;
    // A replica set is known by its replicas: those of a topic that is being made may not be known yet.
    if (clients.topics.all.some(({ life }) => life === 'creating')) return false;
    return clients.topics.active().every(({ topicId, partitionCount }) => {
      for (let partition = 0; partition < partitionCount; partition += 1) {
        const configs = oracle.configsOf(topicId, partition);
        if (configs.length === 0 || !configs.every((config) => this.#bears(config, brokerId))) return false;
      }
      return true;
    });
  }

  lost(brokerId: number): void {
    for (const { topicId, partition, config } of this.#world.oracle.allConfigs()) {
      for (const replica of [...config.replicas, ...config.learners]) {
        if (replica.brokerId !== brokerId) continue;
        this.#lost.add(replica.replicaId);
        this.#world.trace.note(`${this.#world.now} lost ${replica.replicaId} of ${topicId}/${partition}`);
      }
    }
  }

  #bears({ replicas, minInSyncReplicas }: ReplicaConfig, brokerId: number): boolean {
    const isMember = replicas.some((replica) => replica.brokerId === brokerId && !this.#lost.has(replica.replicaId));
    if (!isMember) return true;
    const lostCount = 1 + replicas.filter(({ replicaId }) => this.#lost.has(replicaId)).length;
    const quorum = Math.max(replicas.length - minInSyncReplicas + 1, Math.floor(replicas.length / 2) + 1);
    return lostCount < minInSyncReplicas && replicas.length - lostCount >= Math.max(quorum, minInSyncReplicas);
  }
}
