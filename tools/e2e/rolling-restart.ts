/** Stops every process of a cluster in turn, as `systemctl restart` does, and waits for what an operator waits for. */
import { callUnary } from '@partita/rpc/client';
import { ClusterServiceService } from '@partita/protocol';
import { Api } from './api.ts';
import type { Cluster } from './harness.ts';
import { isAlive } from './processes.ts';
import type { ReplicatedTopic } from './replicated.ts';
import { until } from './until.ts';

const BACK_SECONDS_MAX = 60;

export class RollingRestart {
  /** Of all restarts so far, until its replicas are in sync. */
  brokerSecondsMax = 0;
  readonly #cluster: () => Cluster;
  readonly #topics: readonly ReplicatedTopic[];

  constructor(cluster: () => Cluster, topics: readonly ReplicatedTopic[]) {
    this.#cluster = cluster;
    this.#topics = topics;
  }

  /** Coordinators, gateways, instances of consumer groups, brokers: each once, each after the one before is back. */
  async everything(): Promise<void> {
    const { coordinator, gateway, consumerGroup } = this.#cluster().file.pids;
    for (const pid of [...coordinator, ...gateway, ...consumerGroup]) await this.restart(pid);
    for (const { id } of this.#cluster().file.brokers) await this.#restartBroker(id);
  }

  /** How many partitions each broker leads, by broker id. */
  async leaderCounts(): Promise<ReadonlyMap<number, number>> {
    const counts = new Map<number, number>();
    const api = new Api(this.#cluster());
    try {
      const { routes } = await until('the routes', 20, () =>
        callUnary(api.pool.client(this.#cluster().addresses.coordinator), ClusterServiceService.getRoutes, {
          topics: this.#topics.map(({ name }) => name),
        }),
      );
      for (const { leaderId } of routes.flatMap(({ partitions }) => partitions))
        counts.set(leaderId, (counts.get(leaderId) ?? 0) + 1);
      return counts;
    } finally {
      api.close();
    }
  }

  async untilLeadersAre(wanted: ReadonlyMap<number, number>): Promise<void> {
    await until('the leaders to be as even as before', BACK_SECONDS_MAX, async () => {
      const now = await this.leaderCounts();
      const shown = [...now].map(([id, count]) => `${id}: ${count}`).join(', ');
      if ([...wanted].some(([id, count]) => now.get(id) !== count)) throw new Error(`leaders are ${shown}`);
      return true;
    });
  }

  /** SIGTERM; the launcher starts it again. */
  async restart(pid: number): Promise<void> {
    const count = this.#cluster().servicePids.length;
    process.kill(pid, 'SIGTERM');
    await until(`process ${pid} to be gone`, BACK_SECONDS_MAX, () => !isAlive(pid));
    await until(`the successor of process ${pid}`, BACK_SECONDS_MAX, () => {
      const { servicePids } = this.#cluster();
      return servicePids.length === count && !servicePids.includes(pid);
    });
  }

  async #restartBroker(id: number): Promise<void> {
    const beganMs = performance.now();
    const { pid = 0 } = this.#cluster().file.brokers.find((broker) => broker.id === id) ?? {};
    await this.restart(pid);
    for (const topic of this.#topics) await topic.untilInSync(3);
    this.brokerSecondsMax = Math.max(this.brokerSecondsMax, (performance.now() - beganMs) / 1000);
  }
}
