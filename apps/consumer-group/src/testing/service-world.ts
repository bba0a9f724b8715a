/** The service under test with a cluster in memory, members and clients; one per spec file. */
import { systemRandom, createLogger } from '@partita/runtime';
import type { RunningService } from '@partita/runtime';
import { GroupServiceService } from '@partita/protocol';
import type { TracingMode } from '@partita/rpc';
import type { ConsumeInitial, DescribeGroupResponse } from '@partita/protocol';
import { MetricRegistry } from '@partita/telemetry';
import { callUnary, ChannelPool } from '@partita/rpc/client';
import { afterAll, afterEach, beforeAll, expect, vi } from 'vitest';
import { parseConsumerGroupConfig } from '../config.ts';
import { startConsumerGroup } from '../consumer-group.ts';
import { FakeCluster } from './fake-cluster.ts';
import { TestMember } from './test-member.ts';

type Initial = Parameters<typeof ConsumeInitial.fromPartial>[0];

export interface RunningInstance {
  readonly service: RunningService;
  readonly instanceId: string;
  readonly metrics: MetricRegistry;
  readonly address: string;
}

export const PLENTY = { records: 10_000n, bytes: 10_000_000n };

export class ServiceWorld {
  /** What instances have logged at info and above. */
  readonly logged: Readonly<Record<string, unknown>>[] = [];
  readonly logger = createLogger({
    service: 'test',
    instance: 't',
    ...(process.env['PARTITA_TEST_LOG'] === 'on'
      ? { level: 'debug' }
      : { pretty: false, output: { write: (line) => void this.logged.push(JSON.parse(line) as never) } }),
  });
  readonly cluster: FakeCluster;
  readonly pool = new ChannelPool();
  readonly instances: RunningInstance[] = [];
  readonly #members: TestMember[] = [];
  readonly #tracing: TracingMode;
  #topicCount = 0;

  /** Ties the world to the hooks of the spec file: `instanceCount` instances from its start. */
  constructor({
    shardCount = 1,
    instanceCount = 1,
    tracing = 'off',
  }: { shardCount?: number; instanceCount?: number; tracing?: TracingMode } = {}) {
    this.#tracing = tracing;
    this.cluster = new FakeCluster(this.logger, shardCount);
    beforeAll(async () => {
      await this.cluster.start();
      for (let count = 0; count < instanceCount; count += 1) await this.startInstance();
    });
    afterEach(() => {
      for (const one of this.#members.splice(0)) one.crash();
    });
    afterAll(async () => {
      for (const { service } of this.instances) await service.close();
      this.pool.close();
      this.cluster.close();
    });
  }

  /** Address of the instance that was started last. */
  get address(): string {
    return this.instances.at(-1)?.address ?? '';
  }

  async startInstance(): Promise<RunningInstance> {
    const parsed = parseConsumerGroupConfig(['--listen', '127.0.0.1:0', '--coordinators', this.cluster.address], {});
    if (parsed.kind !== 'run') throw new Error(parsed.stderr);
    const instanceId = systemRandom.uuid();
    const metrics = new MetricRegistry();
    const { config } = parsed;
    const fail = (error: unknown): void => expect.fail(String(error));
    const tracing = this.#tracing;
    const service = await startConsumerGroup({ config, instanceId, logger: this.logger, tracing, metrics, fail });
    const started = { service, metrics, instanceId, address: String(service.ready['address']) };
    this.instances.push(started);
    await this.#settled();
    return started;
  }

  /** Resolves when every instance knows who serves which shard, and that is so. */
  async #settled(): Promise<void> {
    const request = { pageSize: 1, pageToken: '', shards: [] };
    for (const { address } of this.instances) {
      const list = () => callUnary(this.pool.client(address), GroupServiceService.listGroups, request);
      await vi.waitFor(list, { timeout: 10_000, interval: 20 });
    }
  }

  /** Closes it at once; members see a broken stream. */
  async stopInstance(instance: RunningInstance, options: { readonly drain?: boolean } = {}): Promise<void> {
    this.instances.splice(this.instances.indexOf(instance), 1);
    if (options.drain === true) await instance.service.drain();
    await instance.service.close();
  }

  readonly topic = (partitionCount: number, options = {}): string => {
    this.#topicCount += 1;
    const name = `topic-${this.#topicCount}`;
    this.cluster.createTopic(name, partitionCount, options);
    return name;
  };

  readonly member = (group: string, topics: readonly string[], initial: Initial = {}, address?: string): TestMember => {
    const joined = new TestMember(this.pool, address ?? this.address, {
      group,
      subscription: { topics: [...topics] },
      credit: PLENTY,
      ...initial,
    });
    this.#members.push(joined);
    return joined;
  };

  readonly describeGroup = (group: string, address = this.address): Promise<DescribeGroupResponse> =>
    callUnary(this.pool.client(address), GroupServiceService.describeGroup, { group }, { deadlineMs: 5000 });

  /** Committed offsets by partition. */
  readonly committed = async (group: string, address = this.address): Promise<Record<number, bigint>> => {
    const request = { group, topics: [] };
    const options = { deadlineMs: 5000 };
    const client = this.pool.client(address);
    const { offsets } = await callUnary(client, GroupServiceService.getCommittedOffsets, request, options);
    return Object.fromEntries(offsets.map((offset) => [offset.partition, offset.nextOffset]));
  };
}
