/** Loads on a cluster, over the wire protocol: the cost of the SDK's queues is not part of the figures. */
import { connect, RouteCache } from '@partita/client';
import type { PartitaClient } from '@partita/client';
import { ServiceKind } from '@partita/protocol';
import type { GetClusterResponse, Partition, Topic } from '@partita/protocol';
import { ChannelPool } from '@partita/rpc/client';
import type { Job, Sample } from '../sample.ts';
import { READ_TOPIC_BYTES, RECORD_BYTES } from '../workload.ts';
import { appendToLeaders } from './append-loads.ts';
import { consumeAsMember, readFromLeaders } from './consume-loads.ts';
import type { LoadRunner } from './load-runner.ts';
import { produceBatches, produceRecords, produceUnary } from './produce-loads.ts';
import { consumeWithSdk, measureLatency } from './sdk-consume-loads.ts';
import { readAlong } from './read-along.ts';
import { spreadAtRate } from './spread-loads.ts';
import { SdkProduceLoads } from './sdk-produce-loads.ts';

export class PartitaLoads implements LoadRunner {
  readonly #client: PartitaClient;
  readonly #servers: readonly string[];
  readonly #pool = new ChannelPool({ clientId: 'partita-bench' });
  readonly #routes: RouteCache;
  readonly #gateway: string;
  readonly #consumerGroup: string;
  readonly #sdkProduce: SdkProduceLoads;

  private constructor(client: PartitaClient, cluster: GetClusterResponse, servers: readonly string[]) {
    this.#client = client;
    this.#servers = servers;
    this.#sdkProduce = new SdkProduceLoads(client);
    this.#gateway = addressOf(cluster, ServiceKind.SERVICE_KIND_GATEWAY, 'gateway');
    this.#consumerGroup = addressOf(cluster, ServiceKind.SERVICE_KIND_CONSUMER_GROUP, 'consumer-group service');
    this.#routes = new RouteCache({ seeds: servers, pool: this.#pool });
    this.#routes.start();
  }

  static async connect(servers: readonly string[]): Promise<PartitaLoads> {
    const client = await connect({ servers, clientId: 'partita-bench' });
    return new PartitaLoads(client, await client.admin.getCluster(), servers);
  }

  async run({ load, topic, seconds, consume, produce, spread }: Job): Promise<Sample> {
    const gateway = this.#pool.client(this.#gateway);
    switch (load) {
      case 'fill': {
        const recordBytes = consume?.recordBytes ?? RECORD_BYTES;
        const bounds = { seconds: 60, bytes: READ_TOPIC_BYTES, recordBytes };
        return produceBatches(gateway, topic, await this.#partitions(topic), bounds);
      }
      case 'consume-sdk':
        return consumeWithSdk(this.#servers, topic, seconds, mustHave(consume));
      case 'latency':
        return measureLatency(this.#client, topic, seconds, mustHave(consume));
      case 'produce-sdk':
        return this.#sdkProduce.run(topic, seconds, mustHave(produce));
      case 'spread':
        return spreadAtRate(this.#client, topic, seconds, mustHave(spread));
      case 'read-along':
        return readAlong(this.#client, topic);
      case 'produce-batches':
        return produceBatches(gateway, topic, await this.#partitions(topic), { seconds, bytes: Infinity });
      case 'append-direct':
        return appendToLeaders(
          this.#pool,
          await this.#topic(topic),
          (await this.#client.admin.getCluster()).brokers,
          seconds,
        );
      case 'produce-records':
        return produceRecords(gateway, topic, seconds);
      case 'consume-group':
        return consumeAsMember(this.#pool.client(this.#consumerGroup), topic, seconds);
      case 'fetch-direct':
        return readFromLeaders(this.#routes, this.#pool, topic, seconds);
      case 'unary':
        return produceUnary(gateway, topic, seconds);
      default:
        throw new Error(`no load on Partita is called "${load}"`);
    }
  }

  #topic(topic: string): Promise<Topic> {
    return this.#client.admin.getTopic(topic);
  }

  async #partitions(topic: string): Promise<readonly Partition[]> {
    return (await this.#topic(topic)).partitions;
  }
}

function addressOf(cluster: GetClusterResponse, kind: ServiceKind, name: string): string {
  const address = cluster.endpoints.find((endpoint) => endpoint.service === kind)?.address;
  if (address === undefined) throw new Error(`the cluster names no ${name}; is one running?`);
  return address;
}

function mustHave<Work>(work: Work | undefined): Work {
  if (work === undefined) throw new Error('the job does not say what to do');
  return work;
}
