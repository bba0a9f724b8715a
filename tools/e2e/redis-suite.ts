/** What the suites of Redis share: a cluster on a Redis of their own, topics with settings, and traffic that must not fail. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { RedisCommand } from '@partita/tool-dev/redis-server.ts';
import type { Topic, TopicSettings } from '@partita/protocol';
import {
  ClusterServiceService,
  Topic as TopicMessage,
  TopicServiceService,
  UpdateClusterSettingsRequest,
} from '@partita/protocol';
import { callUnary } from '@partita/rpc/client';
import { expect } from 'vitest';
import { Api } from './api.ts';
import { untilDirectoryEqual } from './directory-equality.ts';
import { figure } from './figures.ts';
import { startCluster } from './harness.ts';
import type { Cluster, ClusterOptions } from './harness.ts';
import { Member } from './member.ts';
import { RedisSite } from './redis-site.ts';
import { ReplicatedTopic } from './replicated.ts';
import { LONG } from './root.ts';
import { until } from './until.ts';
import { Ledger, writeSdk, writeUnary } from './writers.ts';

const PARTITION_COUNT = 4;
/** Settings that no default has: whatever loses them shows. */
export const SETTINGS: Partial<TopicSettings> = {
  retentionAge: { seconds: 3n * 86_400n, nanos: 0 },
  retentionBytes: 5n << 30n,
  segmentBytes: 8n << 20n,
  recordBytesMax: 123_456,
};

export class RedisSuite {
  readonly site: RedisSite;
  readonly cluster: Cluster;
  readonly api: Api;
  readonly ledger: Ledger;
  /** Three replicas, under a checked history. */
  readonly replicated: ReplicatedTopic;
  #groups = 0;
  #created = 0;

  private constructor(site: RedisSite, cluster: Cluster, topic: string) {
    this.site = site;
    this.cluster = cluster;
    this.api = new Api(cluster);
    this.ledger = new Ledger(topic, PARTITION_COUNT);
    this.replicated = new ReplicatedTopic(() => cluster, 'redis', `${topic}-replicated`, PARTITION_COUNT);
  }

  static async start(command: RedisCommand, topic: string, options: ClusterOptions = {}): Promise<RedisSuite> {
    const site = await RedisSite.start(command);
    const env = { ...options.env, REDIS_URL: site.url };
    const cluster = await startCluster({ ...options, redis: 'url', env });
    const suite = new RedisSuite(site, cluster, topic);
    await until('the topic', 20, () => suite.api.createTopic(topic, PARTITION_COUNT, SETTINGS));
    await suite.replicated.create();
    // Replica sets are held against those before: nobody moves them. A setting of the cluster that must survive, too.
    const client = suite.api.pool.client(cluster.addresses.coordinator);
    const request = UpdateClusterSettingsRequest.fromPartial({ autoBalance: false });
    await callUnary(client, ClusterServiceService.updateClusterSettings, request);
    return suite;
  }

  async dispose(): Promise<void> {
    this.api.close();
    await this.cluster.dispose();
    await this.site.dispose();
  }

  /**
   * Runs writers and a consumer while `disaster` happens, and in the long form work under a checked history too; returns how
   * many records were acknowledged. None of it may fail.
   */
  async whileTraffic(what: string, disaster: () => Promise<void>): Promise<number> {
    let acked = 0;
    const plain = async () => {
      acked = await this.#whileWriters(disaster);
    };
    // A history is that of one topic, from its beginning.
    if (LONG) await (await this.#freshTopic()).workDuring(what, plain);
    else await plain();
    return acked;
  }

  async #freshTopic(): Promise<ReplicatedTopic> {
    const name = `${this.ledger.topic}-work-${(this.#created += 1)}`;
    const topic = new ReplicatedTopic(() => this.cluster, 'redis', name, PARTITION_COUNT);
    await topic.create();
    return topic;
  }

  async #whileWriters(disaster: () => Promise<void>): Promise<number> {
    const { api, ledger, cluster } = this;
    const member = new Member(api, cluster.addresses.consumerGroup, `group-${(this.#groups += 1)}`, [ledger.topic]);
    await member.untilHolding(PARTITION_COUNT);
    const [ackedBefore, failuresBefore] = [ledger.acked.size, ledger.failures.length];
    const writers = [writeUnary(api, ledger), await writeSdk(cluster.addresses.gateway, ledger)];
    try {
      await disaster();
    } finally {
      await Promise.all(writers.map((writer) => writer.stop()));
    }
    // A send that the end of the writer cut off is no failure of the cluster.
    const failures = ledger.failures.slice(failuresBefore).filter((text) => !/cancelled/.test(text));
    expect(failures).toEqual([]);
    await until('the consumer to have everything', LONG ? 120 : 20, () => {
      member.mustLive();
      const values = new Set(member.values);
      const missing = [...ledger.acked].filter((value) => !values.has(value));
      if (missing.length > 0) throw new Error(`${missing.length} are missing, the first: ${missing[0]}`);
      return true;
    });
    await member.leave();
    return ledger.acked.size - ackedBefore;
  }

  /** Nothing acknowledged is lost, doubled or out of order, and the directory equals the brokers' disks. */
  async check(secondsMax = 10): Promise<void> {
    await this.untilEqual(secondsMax);
    await this.ledger.check(this.api);
  }

  untilEqual(secondsMax: number): Promise<number> {
    return untilDirectoryEqual(() => ({ redis: this.site.directUrl, brokers: this.cluster.file.brokers }), secondsMax);
  }

  /** The key of the cluster's directory of this name. */
  async key(name: string): Promise<string> {
    const { topicId } = await this.api.getTopic(this.ledger.topic);
    const [part] = await until('the directory', 20, async () => {
      const keys = await this.site.raw.keys(`partita:{*}:part:${topicId}`);
      return keys.length === 1 ? keys : undefined;
    });
    return `${part?.slice(0, part.lastIndexOf(':part:'))}:${name}`;
  }

  /** The same without asking a coordinator. */
  async keyDirect(name: string): Promise<string> {
    const [meta] = await this.site.raw.keys('partita:{*}:meta');
    return `${meta?.slice(0, -'meta'.length)}${name}`;
  }

  async createAt(coordinator: string, name: string): Promise<Topic | undefined> {
    const request = {
      topic: TopicMessage.fromPartial({ name, partitionCount: 1, replicationFactor: 1 }),
      requestId: '',
      validateOnly: false,
    };
    return (await callUnary(this.api.pool.client(coordinator), TopicServiceService.createTopic, request)).topic;
  }

  /** What survives everything: versions and settings of all topics, replica sets, and epochs, which may only grow. */
  async picture(): Promise<Picture> {
    const topics = await this.topics();
    const plain = topics.map(({ name, topicId, version, settings, partitionCount, replicationFactor }) => [
      name,
      { topicId, version, settings, partitionCount, replicationFactor },
    ]);
    const replicas = topics.flatMap(({ topicId, partitions }) =>
      partitions.map(({ partition, replicas: set }) => [
        `${topicId}/${partition}`,
        set.map(({ brokerId }) => brokerId),
      ]),
    );
    const epochs = topics.flatMap(({ topicId, partitions }) =>
      partitions.map(({ partition, leaderEpoch }) => [`${topicId}/${partition}`, leaderEpoch] as const),
    );
    return {
      topics: Object.fromEntries(plain) as object,
      replicas: Object.fromEntries(replicas) as object,
      epochs: new Map(epochs),
    };
  }

  /** All of `before` is as it was; epochs have not fallen. */
  async expectKept(before: Picture): Promise<void> {
    const after = await until('the topics', 20, () => this.picture());
    expect(after.topics).toMatchObject(before.topics);
    expect(after.replicas).toMatchObject(before.replicas);
    for (const [partition, epoch] of before.epochs) {
      expect(after.epochs.get(partition), `epoch of ${partition}`).toBeGreaterThanOrEqual(epoch);
    }
  }

  async topics(): Promise<Topic[]> {
    const client = this.api.pool.client(this.cluster.addresses.coordinator);
    const request = { pageSize: 1000, pageToken: '', includeInternal: true, namePrefix: '', includePartitions: true };
    return (await callUnary(client, TopicServiceService.listTopics, request)).topics;
  }

  async delete(topic: string): Promise<void> {
    const client = this.api.pool.client(this.cluster.addresses.coordinator);
    await callUnary(client, TopicServiceService.deleteTopic, { topic, etag: '', requestId: '' });
  }

  /** A new topic can be made: the coordinator is active and its directory is in step, and every broker hears it. */
  async untilWritable(secondsMax = 20): Promise<void> {
    const name = `writable-${(this.#created += 1)}`;
    await until('a topic to be created', secondsMax, () => this.api.createTopic(name, 1));
    for (const { id, address } of this.cluster.file.brokers) {
      await until(`broker ${id} to know ${name}`, secondsMax, async () => {
        const client = this.api.pool.client(address);
        const { routes } = await callUnary(client, ClusterServiceService.getRoutes, { topics: [] });
        return routes.some(({ topic }) => topic === name);
      });
    }
  }

  /** Addresses of the coordinators that say of themselves that they are active. */
  async activeCoordinators(): Promise<string[]> {
    const active: string[] = [];
    for (const address of this.cluster.file.coordinators) {
      const client = this.api.pool.client(address);
      const { endpoints } = await callUnary(client, ClusterServiceService.getCluster, {}, { deadlineMs: 2000 });
      if (endpoints.some((endpoint) => endpoint.active && endpoint.address === address)) active.push(address);
    }
    return active;
  }

  async untilOneIsActive(secondsMax = 20): Promise<string> {
    return until('one active coordinator', secondsMax, async () => {
      const active = await this.activeCoordinators();
      return active.length === 1 ? active[0] : undefined;
    });
  }

  async pause(ms: number): Promise<void> {
    await sleep(ms);
  }

  figure(name: string, value: number | string): void {
    figure('redis', name, value);
  }
}

export interface Picture {
  readonly topics: object;
  readonly replicas: object;
  readonly epochs: ReadonlyMap<string, number>;
}
