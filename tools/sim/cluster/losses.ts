/**
 * Which replicas have lost their disks. Fewer than m of a partition may; a fault that would take more is not injected, since
 * nothing is promised then.
 */
import type { World } from './world.ts';

interface Replica {
  readonly brokerId: number;
  readonly topicId: string;
  readonly partition: number;
}

export class Losses {
  readonly #world: World;
  /** All that were ever opened, by replica id. */
  readonly #replicas = new Map<string, Replica>();
  readonly #lost = new Set<string>();

  constructor(world: World) {
    this.#world = world;
  }

  onReplica(replicaId: string, replica: Replica): void {
    this.#replicas.set(replicaId, replica);
  }

  isLost(replicaId: string): boolean {
    return this.#lost.has(replicaId);
  }

  /** Replicas that must be there still, whatever happened: nobody may delete them. */
  kept(topicId: string): (Replica & { readonly replicaId: string })[] {
    return [...this.#replicas]
      .filter(([replicaId, replica]) => replica.topicId === topicId && !this.#lost.has(replicaId))
      .map(([replicaId, replica]) => ({ ...replica, replicaId }));
  }

  /** True when every partition stays within what it can bear if the broker's disk is lost. */
  mayLose(brokerId: number): boolean {
    const { all } = this.#world.clients.topics;
    if (all.some(({ life }) => life === 'creating')) return false;
    return this.#of(brokerId).every(([, { topicId, partition }]) => {
      const topic = all.find((known) => known.topicId === topicId);
      if (topic === undefined || topic.life === 'deleted') return true;
      const { replicationFactor, minInSyncReplicas } = topic;
      const quorum = Math.max(replicationFactor - minInSyncReplicas + 1, Math.floor(replicationFactor / 2) + 1);
      const lostCount = 1 + this.#lostOf(topicId, partition);
      return lostCount < minInSyncReplicas && replicationFactor - lostCount >= Math.max(quorum, minInSyncReplicas);
    });
  }

  lost(brokerId: number): void {
    for (const [replicaId] of this.#of(brokerId)) this.#lost.add(replicaId);
  }

  #of(brokerId: number): [string, Replica][] {
    return [...this.#replicas].filter(([id, replica]) => replica.brokerId === brokerId && !this.#lost.has(id));
  }

  #lostOf(topicId: string, partition: number): number {
    return [...this.#replicas].filter(
      ([id, replica]) => this.#lost.has(id) && replica.topicId === topicId && replica.partition === partition,
    ).length;
  }
}
