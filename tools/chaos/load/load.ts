/**
 * Everybody that uses a cluster, at once and under one history: producers of every form of delivery with sessions and without,
 * requests that are sent again, readers, members of a group, and probes.
 */
import { join } from 'node:path';
import { connect, pause } from '@partita/client';
import { until } from '@partita/tool-dev/until.ts';
import { machineMs } from '@partita/tool-history/clients/client-plan.ts';
import { ClientProcesses } from '@partita/tool-history/clients/client-processes.ts';
import { GroupWorkload } from '@partita/tool-history/group-workload.ts';
import type { HistoryEvent } from '@partita/tool-history/history.ts';
import type { Mishap } from '@partita/tool-history/member-seat.ts';
import { mergeHistories } from '@partita/tool-history/merged-history.ts';
import { Recorder } from '@partita/tool-history/recorder.ts';
import { Workload } from '@partita/tool-history/workload.ts';
import type { ChaosCluster } from '../cluster/chaos-cluster.ts';
import type { Subject } from '../roles.ts';
import { probePartitions } from './probe.ts';

/** Modest: what is to be seen is order and loss, and the machine has other work. */
const RECORDS_PER_SECOND = 50;
const SEND_INTERVAL_MS = 60;
const SEATS: readonly (readonly Mishap[])[] = [['crash', 'break'], ['leave']];
/** Longer than any producer waits for a delivery. */
const STOP_SECONDS_MAX = 100;
const READ_SECONDS_MAX = 60;
/** Of the work after all is over. */
const GOING_ON_MS = 1000;

export interface LoadOptions {
  readonly cluster: ChaosCluster;
  readonly subject: Subject;
  readonly partitionCount: number;
}

export class Load {
  readonly #options: LoadOptions;
  readonly #recorder: Recorder;
  readonly #workload: Workload;
  readonly #clients: ClientProcesses;
  readonly #members: GroupWorkload;
  readonly #probing = new AbortController();
  readonly #probes: Promise<void>;

  /** Resolves when all work. The topic exists. */
  static async start(options: LoadOptions): Promise<Load> {
    const { cluster, subject, partitionCount } = options;
    const recorder = new Recorder({ nowMs: machineMs });
    const shared = { endpoints: cluster.endpoints, topic: subject.topic, recorder };
    const workload = await Workload.start({
      ...shared,
      producerCount: 1,
      readerCount: 1,
      recordsPerSecondMax: RECORDS_PER_SECOND,
    });
    const clients = await ClientProcesses.start({
      ...shared,
      partitionCount,
      gateways: cluster.file.gateways,
      folder: join(cluster.home, 'histories', subject.topic),
      count: 1,
      sendIntervalMs: SEND_INTERVAL_MS,
    });
    return new Load(options, recorder, workload, clients);
  }

  private constructor(options: LoadOptions, recorder: Recorder, workload: Workload, clients: ClientProcesses) {
    const { cluster, subject, partitionCount } = options;
    this.#options = options;
    this.#recorder = recorder;
    this.#workload = workload;
    this.#clients = clients;
    const addresses = cluster.file.consumerGroups;
    this.#members = new GroupWorkload({ ...subject, recorder, addresses, seats: SEATS });
    const { endpoints } = cluster;
    const site = { endpoints, topic: subject.topic, partitionCount, recorder, stopping: this.#probing.signal };
    this.#probes = probePartitions(site);
  }

  /** What the clients of this process did so far, in order. */
  get events(): readonly HistoryEvent[] {
    return this.#recorder.events;
  }

  /** Ends all work on a healed cluster, and reads everything. Answers what was not consumed or cannot be read. */
  async finish(): Promise<string[]> {
    const { cluster } = this.#options;
    await pause(GOING_ON_MS);
    await this.#members.calmDown();
    this.#probing.abort();
    await Promise.all([this.#clients.stop(STOP_SECONDS_MAX), this.#workload.stop(), this.#probes]);
    const missing = await this.#members.untilConsumed(READ_SECONDS_MAX);
    await this.#members.stop();
    const unread = await this.#workload.finalRead(
      READ_SECONDS_MAX,
      cluster.endpoints,
      this.#clients.histories().flat(),
    );
    return [...missing, ...unread.map((key) => `${key} cannot be read to its end`)];
  }

  /** Ends whatever runs; for clean-up. */
  async abandon(): Promise<void> {
    this.#probing.abort();
    this.#clients.kill();
    await Promise.race([Promise.allSettled([this.#members.stop(), this.#workload.stop()]), pause(GOING_ON_MS)]);
  }

  /** Of all clients, in the order of time. */
  history(): HistoryEvent[] {
    return mergeHistories([this.#recorder.events, ...this.#clients.histories()]);
  }

  /** Streams of members that ended for reasons that no fault of a process explains. */
  get unexpected(): readonly string[] {
    return this.#members.figures.unexpected;
  }
}

/** Makes the topic and waits until all its replicas are in sync. */
export async function createTopic(cluster: ChaosCluster, topic: string, partitionCount: number): Promise<void> {
  await until(`the topic ${topic}`, 60, async () => {
    const client = await connect({ servers: cluster.endpoints, clientId: 'chaos' });
    try {
      return await client.admin.createTopic({ name: topic, partitionCount });
    } finally {
      await client.close();
    }
  });
}
