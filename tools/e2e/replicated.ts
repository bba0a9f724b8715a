/** A topic with replicas under a checked history: work on it while something happens, then see whether it was hurt. */
import { connect } from '@partita/client';
import type { PartitaClient, TopicChange } from '@partita/client';
import { ClusterServiceService } from '@partita/protocol';
import type { Topic } from '@partita/protocol';
import { callUnary } from '@partita/rpc/client';
import { checkHistory } from '@partita/tool-history/checker.ts';
import type { Verdict } from '@partita/tool-history/checker.ts';
import { compareReplicas } from '@partita/tool-history/divergence.ts';
import { Recorder } from '@partita/tool-history/recorder.ts';
import { Workload } from '@partita/tool-history/workload.ts';
import { expect } from 'vitest';
import type { Api } from './api.ts';
import { figure } from './figures.ts';
import type { Cluster } from './harness.ts';
import { until } from './until.ts';

export class ReplicatedTopic {
  readonly name: string;
  readonly partitionCount: number;
  readonly #cluster: () => Cluster;
  readonly #area: string;

  constructor(cluster: () => Cluster, area: string, name: string, partitionCount: number) {
    this.#cluster = cluster;
    this.#area = area;
    this.name = name;
    this.partitionCount = partitionCount;
  }

  /** Addresses of the cluster, those of the gateways first. */
  get endpoints(): string[] {
    const { gateways, coordinators, brokers } = this.#cluster().file;
    return [...gateways, ...coordinators, ...brokers.map(({ address }) => address)];
  }

  async #withClient<Result>(work: (client: PartitaClient) => Promise<Result>): Promise<Result> {
    const client = await connect({ servers: this.endpoints });
    try {
      return await work(client);
    } finally {
      await client.close();
    }
  }

  /** Makes it, once there are brokers for its replicas, and waits until all are in sync. */
  async create(replicationFactor = 3): Promise<void> {
    const { name, partitionCount } = this;
    await until('the topic', 30, () =>
      this.#withClient((client) => client.admin.createTopic({ name, partitionCount, replicationFactor })),
    );
    await this.untilInSync(replicationFactor);
  }

  describe(): Promise<Topic> {
    return this.#withClient((client) => client.admin.getTopic(this.name));
  }

  /** Other settings, or another replication factor. */
  async update(change: TopicChange): Promise<void> {
    await until('the topic to be changed', 20, () =>
      this.#withClient((client) => client.admin.updateTopic(this.name, change)),
    );
  }

  /** Each partition has a leader and exactly so many replicas, all of them in sync. */
  async untilWhole(count: number, secondsMax = 60): Promise<void> {
    await until(`exactly ${count} replicas of each partition, in sync`, secondsMax, async () => {
      const { partitions } = await this.describe();
      const odd = partitions.find(
        ({ leaderId, replicas, inSyncIds }) =>
          leaderId === 0 || replicas.length !== count || replicas.some(({ brokerId }) => !inSyncIds.includes(brokerId)),
      );
      if (odd === undefined) return true;
      const ids = odd.replicas.map(({ brokerId }) => brokerId).join();
      throw new Error(`partition ${odd.partition} has ${ids}, in sync ${odd.inSyncIds.join()}`);
    });
  }

  /** Each partition has a leader and so many replicas in sync. */
  async untilInSync(count: number, secondsMax = 60): Promise<void> {
    await until(`${count} replicas of each partition in sync`, secondsMax, async () => {
      const { partitions } = await this.#withClient((client) => client.admin.getTopic(this.name));
      const short = partitions.filter(({ leaderId, inSyncIds }) => leaderId === 0 || inSyncIds.length < count);
      if (short.length > 0) throw new Error(`partition ${short[0]?.partition} has ${short[0]?.inSyncIds.join()}`);
      return true;
    });
  }

  /** Broker that leads most of the partitions. */
  async busiestLeader(): Promise<number> {
    const { partitions } = await until('the leaders', 20, () =>
      this.#withClient((client) => client.admin.getTopic(this.name)),
    );
    const counts = new Map<number, number>();
    for (const { leaderId } of partitions) counts.set(leaderId, (counts.get(leaderId) ?? 0) + 1);
    return [...counts].toSorted((a, b) => b[1] - a[1])[0]?.[0] ?? 0;
  }

  /**
   * Producers and readers work while it happens and a moment after; then everything is read. Lost, duplicate, reordered and
   * divergent records are anomalies; there must be none, and replicas must be equal.
   */
  async workDuring(what: string, happening: (recorder: Recorder) => Promise<void>, replicaCount = 3): Promise<Verdict> {
    const recorder = new Recorder();
    const workload = await Workload.start({ endpoints: this.endpoints, topic: this.name, recorder });
    try {
      await happening(recorder);
      await this.untilInSync(replicaCount, 60);
      const before = recorder.events.length;
      await until('work to go on', 20, () => recorder.events.length > before + 400);
    } finally {
      await workload.stop();
    }
    expect(await workload.finalRead(60, this.endpoints)).toEqual([]);
    const verdict = checkHistory(recorder.events);
    expect(verdict.anomalies).toEqual({});
    expect(verdict.unseenCount).toBe(0);
    expect(verdict.ackedCount).toBeGreaterThan(100);
    const batchCount = await this.compare(replicaCount);
    this.#report(what, verdict, batchCount);
    return verdict;
  }

  /** Byte by byte below the high watermark, on the disks of all replicas; answers how many batches were equal. */
  async compare(replicaCount: number): Promise<number> {
    await this.untilInSync(replicaCount);
    const { topicId, partitions, watermarks } = await this.#withClient(async (client) => {
      const { topicId: id, partitions: all } = await client.admin.getTopic(this.name);
      const ends = await Promise.all(
        all.map(({ partition }) => client.admin.listOffset(this.name, partition, 'latest')),
      );
      return { topicId: id, partitions: all, watermarks: ends.map(({ highWatermark }) => highWatermark) };
    });
    let batchCount = 0;
    for (const { partition, inSyncIds } of partitions) {
      const dirs = this.#cluster()
        .file.brokers.filter(({ id }) => inSyncIds.includes(id))
        .map(({ dataDir }) => dataDir);
      expect(dirs.length).toBeGreaterThanOrEqual(replicaCount);
      const highWatermark = watermarks[partition] ?? 0n;
      expect(highWatermark).toBeGreaterThan(0n);
      const compared = await compareReplicas({ dataDirs: dirs, topicId, partition, highWatermark });
      expect(compared.divergence).toBeUndefined();
      batchCount += compared.batchCount;
    }
    return batchCount;
  }

  #report(what: string, verdict: Verdict, batchCount: number): void {
    figure(this.#area, `${what}: records acknowledged`, verdict.ackedCount);
    figure(this.#area, `${what}: records refused`, verdict.failedCount);
    figure(this.#area, `${what}: records whose outcome is unknown`, verdict.unknownCount);
    figure(this.#area, `${what}: lost, duplicate, reordered, divergent`, Object.keys(verdict.anomalies).length);
    figure(this.#area, `${what}: batches equal on all replicas`, batchCount);
  }
}

/** Address of the coordinator that holds the lease. */
export async function activeCoordinator(api: Api, cluster: Cluster): Promise<string> {
  for (const address of cluster.file.coordinators) {
    try {
      const { endpoints } = await callUnary(api.pool.client(address), ClusterServiceService.getCluster, {});
      const active = endpoints.find((endpoint) => endpoint.active);
      if (active !== undefined) return active.address;
    } catch {
      // The next one may know.
    }
  }
  throw new Error('no coordinator knows the active one');
}
