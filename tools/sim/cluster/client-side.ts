/** The process of all clients of a simulated cluster: their connections, what they know of routes, and who they are. */
import { PartitaError } from '@partita/domain';
import { ClusterServiceService } from '@partita/protocol';
import { callUnary, ChannelPool } from '@partita/rpc/client';
import { BROKER_PORT, COORDINATOR_PORT } from './nodes.ts';
import { Producer } from './producers.ts';
import { SimulatedProcess } from './processes.ts';
import { Topics } from './topics.ts';
import type { KnownTopic } from './topics.ts';
import type { World } from './world.ts';

const ROUTES_MS = 1000;
export const CLIENT_HOST = '127.0.3.1';

export class ClientSide {
  readonly world: World;
  readonly process: SimulatedProcess;
  readonly topics: Topics;
  readonly producers: Producer[] = [];
  readonly #pool: ChannelPool;
  #isStopped = false;
  /** Addresses of leaders, `topic id/partition`. */
  readonly #leaders = new Map<string, string>();

  constructor(world: World) {
    this.world = world;
    this.process = new SimulatedProcess('clients', CLIENT_HOST, { network: world.network, bootId: '' });
    this.#pool = this.inside(() => new ChannelPool({ clientId: 'clients' }));
    this.topics = new Topics(world, this);
  }

  start(): void {
    this.process.run(() => this.topics.start());
  }

  /** Nothing new is written from now on; what is under way is repeated until its fate is known. */
  stop(): void {
    this.#isStopped = true;
    this.topics.stop();
    for (const producer of this.producers) producer.stop();
  }

  /** Does something as the clients' process. */
  inside<Result>(work: () => Result): Result {
    let result: { readonly value: Result } | undefined;
    this.process.run(() => (result = { value: work() }));
    if (result === undefined) throw new Error('the process of the clients is gone');
    return result.value;
  }

  client(address: string): ReturnType<ChannelPool['client']> {
    return this.#pool.client(address);
  }

  onTopic(topic: KnownTopic): void {
    for (let partition = 0; partition < topic.partitionCount; partition += 1) {
      for (const isSession of [true, false]) {
        const producer = new Producer(this, topic, partition, isSession);
        this.producers.push(producer);
        if (!this.#isStopped) producer.start();
      }
    }
  }

  /** Where the partition is led, as far as anybody says. */
  async leaderOf(topicId: string, partition: number): Promise<string | undefined> {
    const known = this.#leaders.get(`${topicId}/${partition}`);
    return known ?? this.#askForLeader(topicId, partition);
  }

  /** What is known of the leader was wrong; `hint` is what the one asked knows. */
  forgetLeader(topicId: string, partition: number, hint: string | undefined): void {
    const key = `${topicId}/${partition}`;
    if (hint === undefined) this.#leaders.delete(key);
    else this.#leaders.set(key, hint);
  }

  async #askForLeader(topicId: string, partition: number): Promise<string | undefined> {
    const { random, brokers, coordinators } = this.world;
    const address = random.pick([
      ...brokers.map(({ host }) => `${host}:${BROKER_PORT}`),
      ...coordinators.map(({ host }) => `${host}:${COORDINATOR_PORT}`),
    ]);
    try {
      const request = { topics: [] };
      const options = { deadlineMs: ROUTES_MS };
      const answer = await callUnary(this.client(address), ClusterServiceService.getRoutes, request, options);
      const route = answer.routes.find((one) => one.topicId === topicId)?.partitions[partition];
      const leader = answer.brokers.find(({ brokerId }) => brokerId === route?.leaderId)?.address;
      if (leader !== undefined) this.#leaders.set(`${topicId}/${partition}`, leader);
      return leader;
    } catch (error) {
      if (error instanceof PartitaError) return undefined;
      throw error;
    }
  }
}
