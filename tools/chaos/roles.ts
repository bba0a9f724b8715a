/**
 * Which process has a role at this moment, by what the cluster itself answers; nobody answers with certainty, so a target may
 * have lost its role when the fault arrives.
 */
import { keyHash } from '@partita/batch';
import { connect } from '@partita/client';
import { ClusterServiceService, GroupServiceService } from '@partita/protocol';
import type { Topic } from '@partita/protocol';
import { callUnary, ChannelPool } from '@partita/rpc/client';
import { until } from '@partita/tool-dev/until.ts';
import type { SeededRandom } from '@partita/testkit';
import type { ChaosCluster } from './cluster/chaos-cluster.ts';
import { REDIS } from './cluster/launcher-messages.ts';

/**
 * leader                leads most partitions of the topic
 * follower              leads fewest of those that follow
 * active-coordinator    holds the lease        standby-coordinator   one that does not
 * shard-owner           the instance that has the group
 * gateway               one of them, by chance
 * redis
 */
export type Role =
  'leader' | 'follower' | 'active-coordinator' | 'standby-coordinator' | 'shard-owner' | 'gateway' | 'redis';

const SECONDS_MAX = 20;
const ANSWER_MS_MAX = 2000;
const GROUPS_TOPIC = '__groups';

export interface Subject {
  readonly topic: string;
  readonly group: string;
}

export class Roles {
  readonly #cluster: ChaosCluster;
  readonly #subject: Subject;
  readonly #pool = new ChannelPool({ clientId: 'chaos' });
  readonly #random: SeededRandom;

  constructor(cluster: ChaosCluster, subject: Subject, random: SeededRandom) {
    this.#cluster = cluster;
    this.#subject = subject;
    this.#random = random;
  }

  close(): void {
    this.#pool.close();
  }

  /** Name of the process. Rejects when nobody has the role for 20 s. */
  nameOf(role: Role): Promise<string> {
    return until(`a ${role}`, SECONDS_MAX, async () => {
      switch (role) {
        case 'leader':
          return (await this.#brokersByLoad())[0];
        case 'follower':
          return (await this.#brokersByLoad()).at(-1);
        case 'active-coordinator':
          return this.#activeCoordinator();
        case 'standby-coordinator':
          return this.#standby(await this.#activeCoordinator());
        case 'shard-owner':
          return this.#shardOwner();
        case 'gateway':
          return this.#random.pick(await this.namesOf('gateway'));
        case 'redis':
          return REDIS;
      }
    });
  }

  /** The topic that is worked on, as the cluster sees it. */
  topic(): Promise<Topic> {
    return until('the topic', SECONDS_MAX, () => this.#topic(this.#subject.topic));
  }

  /** Every process of a service that is up: `broker`, `coordinator`, `gateway`, `consumer-group`. */
  async namesOf(service: string): Promise<string[]> {
    const members = await this.#cluster.members();
    const isOf = new RegExp(`^${service}(-\\d+)?$`);
    return members.flatMap(({ name, pid }) => (pid !== undefined && isOf.test(name) ? [name] : []));
  }

  /** Broker that leads the shard of the group. */
  async shardLeader(): Promise<string> {
    return until('the leader of the shard', SECONDS_MAX, async () => {
      const hash = keyHash(Buffer.from(this.#subject.group, 'utf8'));
      const { partitions } = await this.#topic(GROUPS_TOPIC);
      const shard = partitions.find(({ hashMin, hashMax }) => hashMin <= hash && hash <= hashMax);
      return shard === undefined || shard.leaderId === 0 ? undefined : `broker-${shard.leaderId}`;
    });
  }

  /** Brokers, the one that leads most partitions first. */
  async #brokersByLoad(): Promise<string[]> {
    const { partitions } = await this.#topic(this.#subject.topic);
    const counts = new Map<number, number>();
    for (const { leaderId, replicas } of partitions) {
      for (const { brokerId } of replicas) counts.set(brokerId, counts.get(brokerId) ?? 0);
      if (leaderId > 0) counts.set(leaderId, (counts.get(leaderId) ?? 0) + 1);
    }
    return [...counts].toSorted((a, b) => b[1] - a[1] || a[0] - b[0]).map(([id]) => `broker-${id}`);
  }

  async #topic(topic: string): Promise<Topic> {
    const client = await connect({ servers: this.#cluster.endpoints, clientId: 'chaos' });
    try {
      return await client.admin.getTopic(topic, { deadlineMs: ANSWER_MS_MAX });
    } finally {
      await client.close();
    }
  }

  /** Asked of each of them, since one that is cut off may still believe what was true. */
  async #activeCoordinator(): Promise<string> {
    const { coordinators } = this.#cluster.file;
    for (const address of coordinators) {
      try {
        const client = this.#pool.client(address);
        const { endpoints } = await callUnary(
          client,
          ClusterServiceService.getCluster,
          {},
          { deadlineMs: ANSWER_MS_MAX },
        );
        const active = endpoints.find((endpoint) => endpoint.active);
        if (active !== undefined) return await this.#named(active.address);
      } catch {
        // Another one may know.
      }
    }
    throw new Error('no coordinator says which one is active');
  }

  async #standby(active: string): Promise<string | undefined> {
    return (await this.namesOf('coordinator')).find((name) => name !== active);
  }

  async #shardOwner(): Promise<string> {
    const request = { group: this.#subject.group };
    for (const address of this.#cluster.file.consumerGroups) {
      try {
        const client = this.#pool.client(address);
        const call = { deadlineMs: ANSWER_MS_MAX };
        const { ownerAddress } = await callUnary(client, GroupServiceService.describeGroup, request, call);
        return await this.#named(ownerAddress);
      } catch {
        // Another one may know.
      }
    }
    throw new Error('no instance says who owns the group');
  }

  async #named(address: string): Promise<string> {
    const found = (await this.#cluster.members()).find((member) => member.address === address);
    if (found === undefined) throw new Error(`${address} is none of the cluster`);
    return found.name;
  }
}
