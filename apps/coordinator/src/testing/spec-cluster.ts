/** A coordinator in this process with a directory in memory, brokers of spec-broker.ts, and clients of both listeners. */
import { randomUUID } from 'node:crypto';
import { createMemoryMetadataStore, MemoryDirectory } from '@partita/metadata-store';
import type { MetadataStore } from '@partita/metadata-store';
import { ClusterServiceService, ReplicaMove, Topic, TopicServiceService } from '@partita/protocol';
import type { CreateReassignmentRequest, CreateTopicRequest } from '@partita/protocol';
import type { TracingMode } from '@partita/rpc';
import { callUnary, ChannelPool } from '@partita/rpc/client';
import { createLogger, systemClock, systemRandom } from '@partita/runtime';
import type { RunningService } from '@partita/runtime';
import { MetricRegistry } from '@partita/telemetry';
import { readConfig } from '../config.ts';
import { startCoordinator } from '../coordinator.ts';
import { SpecBroker } from './spec-broker.ts';
import type { SpecBrokerOptions } from './spec-broker.ts';
import { newDisk } from './spec-disk.ts';
import type { SpecDisk } from './spec-disk.ts';

export interface RunningCoordinator {
  readonly service: RunningService;
  readonly address: string;
  readonly peerAddress: string;
  readonly store: MetadataStore;
  readonly metrics: MetricRegistry;
}

export class SpecCluster {
  readonly clusterId = randomUUID();
  directory = new MemoryDirectory();
  readonly pool = new ChannelPool();
  readonly coordinators: RunningCoordinator[] = [];
  readonly brokers: SpecBroker[] = [];
  readonly wrongCluster: Error[] = [];
  /** What coordinators have logged at info and above. */
  readonly logged: Readonly<Record<string, unknown>>[] = [];
  /** True = coordinators and brokers follow traces. */
  readonly #tracing: TracingMode;
  readonly #directoryCheckMs: number | undefined;

  constructor(options: { readonly tracing?: TracingMode; readonly directoryCheckMs?: number } = {}) {
    this.#tracing = options.tracing ?? 'off';
    this.#directoryCheckMs = options.directoryCheckMs;
  }

  async startCoordinator(...flags: string[]): Promise<RunningCoordinator> {
    const argv = ['--cluster-id', this.clusterId, '--listen', '127.0.0.1:0', '--peer-listen', '127.0.0.1:0', ...flags];
    const parsed = readConfig(argv, {});
    if (parsed.kind === 'exit') throw new Error(parsed.stderr);
    const store = createMemoryMetadataStore({
      clusterId: this.clusterId,
      clock: systemClock,
      directory: this.directory,
    });
    const logger = createLogger({
      service: 'coordinator',
      instance: String(this.coordinators.length),
      ...(process.env['PARTITA_SPEC_LOG'] === 'on'
        ? { level: 'debug' }
        : { pretty: false, output: { write: (line) => void this.logged.push(JSON.parse(line) as never) } }),
    });
    const metrics = new MetricRegistry();
    const service = await startCoordinator({
      config: parsed.config,
      store,
      clock: systemClock,
      random: systemRandom,
      logger,
      runId: randomUUID(),
      tracing: this.#tracing,
      metrics,
      directoryCheckMs: this.#directoryCheckMs,
      onWrongCluster: (error) => this.wrongCluster.push(error),
    });
    const { address, peerAddress } = service.ready as { address: string; peerAddress: string };
    const running = { service, address, peerAddress, store, metrics };
    this.coordinators.push(running);
    return running;
  }

  async stopCoordinator(running: RunningCoordinator): Promise<void> {
    this.coordinators.splice(this.coordinators.indexOf(running), 1);
    await running.service.drain();
    await running.service.close();
  }

  async startBroker(disk: SpecDisk | number, options: Partial<SpecBrokerOptions> = {}): Promise<SpecBroker> {
    const coordinator = this.coordinators[0]!.peerAddress;
    const own = typeof disk === 'number' ? newDisk(disk) : disk;
    const peer = (brokerId: number) => this.broker(brokerId);
    const shared = { clusterId: this.clusterId, coordinator, peer, tracing: this.#tracing };
    const broker = await SpecBroker.start({ disk: own, ...shared, ...options });
    this.brokers.push(broker);
    return broker;
  }

  /** The broker of this id that runs. */
  broker(brokerId: number): SpecBroker | undefined {
    return this.brokers.find(({ disk, stopped }) => disk.brokerId === brokerId && !stopped);
  }

  async stop(): Promise<void> {
    for (const broker of this.brokers) broker.stop();
    for (const running of [...this.coordinators]) await this.stopCoordinator(running);
    this.pool.close();
  }

  client(running = this.coordinators[0]!) {
    const client = this.pool.client(running.address);
    return {
      create: async (topic: Partial<Topic>, more: Partial<CreateTopicRequest> = {}) => {
        const request = { topic: Topic.fromPartial(topic), requestId: '', validateOnly: false, ...more };
        return (await callUnary(client, TopicServiceService.createTopic, request)).topic!;
      },
      get: async (topic: string) => (await callUnary(client, TopicServiceService.getTopic, { topic })).topic!,
      list: (
        more: Partial<{ pageSize: number; pageToken: string; includeInternal: boolean; namePrefix: string }> = {},
      ) =>
        callUnary(client, TopicServiceService.listTopics, {
          pageSize: 0,
          pageToken: '',
          includeInternal: false,
          namePrefix: '',
          includePartitions: false,
          ...more,
        }),
      update: async (topic: Partial<Topic>, updateMask: string[], validateOnly = false) => {
        const request = { topic: Topic.fromPartial(topic), updateMask, validateOnly, requestId: '' };
        return (await callUnary(client, TopicServiceService.updateTopic, request)).topic!;
      },
      delete: async (topic: string, etag = '') =>
        (await callUnary(client, TopicServiceService.deleteTopic, { topic, etag, requestId: '' })).topic!,
      routes: async () => (await callUnary(client, ClusterServiceService.getRoutes, { topics: [] })).routes,
      cluster: () => callUnary(client, ClusterServiceService.getCluster, {}),
      describe: () => callUnary(client, ClusterServiceService.describeCluster, { includePartitions: true }),
      elect: async (topic: string, partition: number, brokerId = 0) => {
        const request = { partitions: [{ topic, partition }], brokerId };
        return (await callUnary(client, ClusterServiceService.electLeaders, request)).results[0]!;
      },
      electAll: async () =>
        (await callUnary(client, ClusterServiceService.electLeaders, { partitions: [], brokerId: 0 })).results,
      force: async (topic: string, brokerId: number, acceptDataLoss = true, justification = 'a test') => {
        const request = { partition: { topic, partition: 0 }, brokerId, acceptDataLoss, justification };
        return (await callUnary(client, ClusterServiceService.forceLeader, request)).result!;
      },
      recover: async (topic: string) => {
        const partition = { topic, partition: 0 };
        const request = { partition, acceptDataLoss: true, justification: 'a test' };
        return (await callUnary(client, ClusterServiceService.recoverBestLog, request)).result!;
      },
      move: async (moves: readonly (readonly [string, number, number, number])[], more: Partial<CreateReassignmentRequest> = {}) => {
        const asked = moves.map(([topic, partition, fromBrokerId, toBrokerId]) =>
          ReplicaMove.fromPartial({ partition: { topic, partition }, fromBrokerId, toBrokerId }),
        );
        const request = { moves: asked, validateOnly: false, requestId: '', ...more };
        return (await callUnary(client, ClusterServiceService.createReassignment, request)).reassignment!;
      },
      reassignment: async (reassignmentId: string) =>
        (await callUnary(client, ClusterServiceService.getReassignment, { reassignmentId })).reassignment!,
      reassignments: (pageSize = 0, pageToken = '') =>
        callUnary(client, ClusterServiceService.listReassignments, { pageSize, pageToken }),
      cancelMove: async (reassignmentId: string) =>
        (await callUnary(client, ClusterServiceService.cancelReassignment, { reassignmentId })).reassignment!,
      audit: async () =>
        (await callUnary(client, ClusterServiceService.listAuditEntries, { pageSize: 0, pageToken: '' })).entries,
    };
  }
}

/** Waits until `condition` holds, at most `timeoutMs`. */
export async function eventually(condition: () => boolean | Promise<boolean>, timeoutMs = 8000): Promise<void> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    if (await condition()) return;
    if (performance.now() > end) throw new Error(`not within ${timeoutMs} ms: ${String(condition)}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
