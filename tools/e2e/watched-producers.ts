/** Producers in processes of their own under a checked history: they send while something happens, then one sees what was stored. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkHistory } from '@partita/tool-history/checker.ts';
import type { Verdict } from '@partita/tool-history/checker.ts';
import { machineMs } from '@partita/tool-history/clients/client-plan.ts';
import { ClientProcesses } from '@partita/tool-history/clients/client-processes.ts';
import type { AnomalyName } from '@partita/tool-history/findings.ts';
import type { HistoryEvent } from '@partita/tool-history/history.ts';
import { mergeHistories } from '@partita/tool-history/merged-history.ts';
import { reportProducers } from '@partita/tool-history/producer-report.ts';
import type { ProducerReport } from '@partita/tool-history/producer-report.ts';
import { Recorder } from '@partita/tool-history/recorder.ts';
import { Workload } from '@partita/tool-history/workload.ts';
import { expect } from 'vitest';
import { figure } from './figures.ts';
import type { Cluster } from './harness.ts';
import { ReplicatedTopic } from './replicated.ts';

const SEND_INTERVAL_MS = 25;
/** Longer than any producer waits for a delivery. */
const STOP_SECONDS_MAX = 75;
const GOING_ON_MS = 1500;

export interface Watched {
  readonly history: readonly HistoryEvent[];
  readonly verdict: Verdict;
  readonly report: ProducerReport;
  /** Processes of clients that were killed. */
  readonly clientKillCount: number;
}

export interface WatchedOptions {
  /** Processes of clients, each with a producer of every form of delivery and one of requests. */
  readonly clientCount: number;
  /** Environment and arguments of Node for the clients; default those of this process. */
  readonly env?: NodeJS.ProcessEnv;
  readonly nodeArgs?: readonly string[];
}

export class WatchedProducers {
  readonly topic: ReplicatedTopic;
  readonly #cluster: () => Cluster;
  readonly #options: WatchedOptions;

  constructor(cluster: () => Cluster, name: string, partitionCount: number, options: WatchedOptions) {
    this.#cluster = cluster;
    this.#options = options;
    this.topic = new ReplicatedTopic(cluster, 'producers', name, partitionCount);
  }

  /** Clients send while it happens and a moment after; then everything is read. */
  async watch(happening: (clients: ClientProcesses) => Promise<void>): Promise<Watched> {
    const { home, file } = this.#cluster();
    const { name, partitionCount, endpoints } = this.topic;
    const recorder = new Recorder({ nowMs: machineMs });
    const shared = { endpoints, topic: name, recorder };
    const workload = await Workload.start({ ...shared, producerCount: 0 });
    const { clientCount, ...processOptions } = this.#options;
    const clients = await ClientProcesses.start({
      ...shared,
      ...processOptions,
      partitionCount,
      gateways: file.gateways,
      folder: join(home, 'histories', name),
      count: clientCount,
      sendIntervalMs: SEND_INTERVAL_MS,
    });
    try {
      await happening(clients);
      await this.topic.untilInSync(3);
      await sleep(GOING_ON_MS);
      await clients.stop(STOP_SECONDS_MAX);
    } finally {
      clients.kill();
      await workload.stop();
    }
    const sent = clients.histories();
    expect(await workload.finalRead(60, endpoints, sent.flat())).toEqual([]);
    const history = mergeHistories([recorder.events, ...sent]);
    const folder = process.env['PARTITA_TEST_HISTORIES'];
    if (folder !== undefined)
      writeFileSync(join(folder, `${name}.jsonl`), history.map((event) => `${JSON.stringify(event)}\n`).join(''));
    const report = reportProducers(history);
    return { history, verdict: checkHistory(history), report, clientKillCount: clients.killCount };
  }

  /** The same, and there must be nothing wrong in it. */
  async workDuring(what: string, happening: (clients: ClientProcesses) => Promise<void>): Promise<Watched> {
    await this.topic.create();
    const watched = await this.watch(happening);
    const { verdict, report } = watched;
    expect(verdict.anomalies).toEqual({});
    expect(report.ackedCount).toBeGreaterThan(500);
    expect(report.requestRepeatCount).toBeGreaterThan(20);
    const batchCount = await this.topic.compare(3);
    reportFigures(what, watched, batchCount);
    return watched;
  }
}

function reportFigures(what: string, { verdict, report, clientKillCount }: Watched, batchCount: number): void {
  const tell = (name: string, value: number | string): void => figure('producers', `${what}: ${name}`, value);
  const found = (...names: AnomalyName[]): number =>
    names.reduce((sum, name) => sum + (verdict.anomalies[name]?.count ?? 0), 0);
  tell('sessions / processes of clients killed', `${report.sessionCount} / ${clientKillCount}`);
  tell('records sent', report.sendCount);
  tell('records acknowledged', report.ackedCount);
  tell('records whose outcome is unknown', report.unknownCount);
  tell('records refused', report.refusedCount);
  tell('acknowledged as stored before', report.repeatedAckCount);
  tell('requests with an id / sent again', `${report.requestCount} / ${report.requestRepeatCount}`);
  tell('requests sent again and answered with the first copy', report.requestRepeatAckCount);
  tell('lost', found('lost-write', 'unseen', 'request-lost'));
  tell('duplicates', found('duplicate', 'request-doubled', 'request-answers'));
  tell('gaps', found('session-gap'));
  tell('reordered', found('session-order', 'key-order', 'nonmonotonic-send'));
  tell('batches equal on all replicas', batchCount);
}
