/** `npm run bench -- delay`: what a producer reaches over a long line, with more and more in flight. */
import { loadavg } from 'node:os';
import { connect } from '@partita/client';
import { launchCluster } from '@partita/tool-dev/own-cluster.ts';
import { progress, publish } from '../bench-run.ts';
import type { BenchOptions, BenchRun } from '../bench-run.ts';
import { LoadProcess } from '../child-process.ts';
import { chooseRows } from '../choose-rows.ts';
import type { CleanUps } from '../clean-ups.ts';
import { thisMachine } from '../machine.ts';
import { figuresOf, runRounds } from '../rounds.ts';
import { BenchTopics } from '../topics.ts';
import { BROKER_COUNT, WARM_UP_SECONDS } from '../workload.ts';
import { ProxyProcess } from './proxy-process.ts';
import { delayHeader, delayTable } from './report.ts';
import type { DelayFacts, DelayReport } from './report.ts';
import { DELAY_ROWS, settingsOf } from './rows.ts';
import type { DelayedPath, DelayRow } from './rows.ts';

/** A cluster behind proxies, and its load generator. */
interface DelayedCluster {
  readonly proxies: ProxyProcess;
  readonly load: LoadProcess;
  readonly topics: BenchTopics;
  stop(): Promise<void>;
}

export interface DelayOptions extends BenchOptions {
  /** One way, of the measured side. */
  readonly delayMs: number;
}

export async function benchDelay({ options, cleanUps }: BenchRun<DelayOptions>): Promise<void> {
  const rows = chooseRows(DELAY_ROWS, options.rows);
  const { rounds, seconds, delayMs } = options;
  const facts: DelayFacts = { ...thisMachine(), rounds, seconds, delayMs, loadAverage: loadavg()[0] ?? 0 };
  const reports: DelayReport[] = [];
  for (const path of new Set(rows.map((row) => row.path))) {
    const cluster = await startDelayed(path, cleanUps);
    for (const row of rows.filter((one) => one.path === path)) {
      progress(`${row.name}, ${delayMs} ms against none`);
      reports.push({ row, figures: await measure(options, row, cluster) });
    }
    await cluster.stop();
  }
  publish(options, {
    header: delayHeader(facts),
    tables: delayTable(reports, delayMs),
    figures: { facts, rows: reports.map(({ row, figures }) => ({ name: row.name, ...figures })) },
  });
}

async function measure(
  { rounds, seconds, delayMs }: DelayOptions,
  row: DelayRow,
  { proxies, load, topics }: DelayedCluster,
) {
  const settings = settingsOf(row.path);
  const topic = await topics.create(settings, settings.partitionCount);
  const side = (oneWayMs: number) => async (isWarmUp: boolean) => {
    await proxies.delay(oneWayMs);
    const length = isWarmUp ? Math.min(WARM_UP_SECONDS, seconds) : seconds;
    const produce = { settings, inFlightBytes: row.inFlightBytes };
    return load.run({ load: 'produce-sdk', topic, seconds: length, produce });
  };
  const pairs = await runRounds(rounds, { ours: side(delayMs), raw: side(0) });
  await proxies.delay(0);
  await topics.delete(topic);
  return figuresOf(pairs);
}

async function startDelayed({ title, behind }: DelayedPath, cleanUps: CleanUps): Promise<DelayedCluster> {
  progress(`starting a cluster, its ${behind.join(', ')} behind proxies: ${title}`);
  const proxies = await ProxyProcess.start(behind);
  cleanUps.add(() => proxies.stop());
  const cluster = launchCluster({ purpose: 'bench', brokerCount: BROKER_COUNT, advertise: proxies.addresses });
  let stopping: Promise<void> | undefined;
  const stop = (): Promise<void> =>
    (stopping ??= cluster.stop().then(() => {
      cluster.removeHome();
    }));
  cleanUps.add(stop);
  await proxies.leadTo(cluster.home);
  await cluster.untilReady();
  const { servers } = cluster;
  const client = await connect({ servers, clientId: 'partita-bench' });
  const load = await LoadProcess.start({ kind: 'partita', servers });
  cleanUps.add(() => load.stop());
  return {
    proxies,
    load,
    topics: new BenchTopics(client.admin),
    stop: async () => {
      await client.close();
      await stop();
    },
  };
}
