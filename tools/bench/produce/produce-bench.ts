/** `npm run bench -- produce`: the SDK's producer: throughput, what it costs each process, latency at half of it. */
import { loadavg } from 'node:os';
import { recordsPerSecond } from '../sample.ts';
import { progress, publish } from '../bench-run.ts';
import type { BenchRun } from '../bench-run.ts';
import { mergedPercentiles } from '../latencies.ts';
import { thisMachine } from '../machine.ts';
import { figuresOf, median, runRounds } from '../rounds.ts';
import type { Sample } from '../sample.ts';
import { WARM_UP_SECONDS } from '../workload.ts';
import { chooseProduceRows } from './options.ts';
import type { ProduceOptions } from './options.ts';
import { LATENCY_SECONDS, produceHeader, produceTables } from './report.ts';
import type { FailedRow, LatencyFigures, ProduceFacts, ProduceReport } from './report.ts';
import { RAW, rowTitles } from './rows.ts';
import type { ProduceRow } from './rows.ts';
import { metered, startServers } from './servers.ts';
import type { CpuMs, ProduceServers } from './servers.ts';
import type { ProduceSettings } from './settings.ts';

/** Of the throughput just measured: far enough below it that what is told is the path, not a queue that grows. */
const LATENCY_SHARE = 0.5;

/** A row that fails does not keep the others from being measured; the bench fails at its end. */
export async function benchProduce({ options, cleanUps }: BenchRun<ProduceOptions>): Promise<void> {
  const rows = chooseProduceRows(options);
  const { rounds, seconds, rate } = options;
  const facts: ProduceFacts = { ...thisMachine(), rounds, seconds, rate, loadAverage: loadavg()[0] ?? 0 };
  const servers = await startServers(cleanUps, options.profile);
  const reports: ProduceReport[] = [];
  const failed: FailedRow[] = [];
  for (const row of rows) {
    const titles = rowTitles(row);
    progress(`${titles.measured}, against ${titles.against}`);
    try {
      reports.push(await measure(options, row, servers));
    } catch (error) {
      if (cleanUps.isLeaving) throw error;
      failed.push({ name: row.name, why: error instanceof Error ? error.message : String(error) });
    }
    await servers.topics.deleteAll();
  }
  publish(options, {
    header: produceHeader(facts),
    tables: produceTables(reports, failed),
    figures: { facts, rows: reports.map(({ row, ...report }) => ({ name: row.name, ...report })), failed },
  });
  if (failed.length > 0) throw new Error(`failed: ${failed.map(({ name }) => name).join(', ')}`);
}

async function measure(options: ProduceOptions, row: ProduceRow, servers: ProduceServers): Promise<ProduceReport> {
  const { measured, against } = row;
  const topic = await createTopic(measured, servers);
  const otherTopic = against === RAW || sharesTopic(measured, against) ? topic : await createTopic(against, servers);
  const { ours, raw, pids } = servers;
  const lengthOf = (isWarmUp: boolean): number =>
    isWarmUp ? Math.min(WARM_UP_SECONDS, options.seconds) : options.seconds;
  const costs: CpuMs[] = [];
  const pairs = await runRounds(options.rounds, {
    ours: async (isWarmUp) => {
      const job = { load: 'produce-sdk', topic, seconds: lengthOf(isWarmUp), produce: { settings: measured } };
      const { sample, cpuMs } = await metered(pids, () => ours.run(job));
      if (!isWarmUp) costs.push(perMegabyte(cpuMs, sample));
      return sample;
    },
    raw: (isWarmUp) => {
      const seconds = lengthOf(isWarmUp);
      return against === RAW
        ? raw.run({ load: measured.delivery === 'direct' ? 'push-direct' : 'push', topic: '', seconds })
        : ours.run({ load: 'produce-sdk', topic: otherTopic, seconds, produce: { settings: against } });
    },
  });
  const reached = median(pairs.map((pair) => recordsPerSecond(pair.ours)));
  const ratePerSecond = options.rate ?? Math.max(1, Math.round(reached * LATENCY_SHARE));
  return {
    row,
    figures: figuresOf(pairs),
    cpuMsPerMb: medians(costs),
    latency: await measureLatency(options, measured, { topic, ratePerSecond, servers }),
  };
}

function createTopic(settings: ProduceSettings, { topics }: ProduceServers): Promise<string> {
  return topics.create(settings, settings.partitionCount);
}

function sharesTopic(one: ProduceSettings, other: ProduceSettings): boolean {
  return (
    one.partitionCount === other.partitionCount &&
    one.replicationFactor === other.replicationFactor &&
    one.flush === other.flush
  );
}

async function measureLatency(
  { seconds }: ProduceOptions,
  settings: ProduceSettings,
  at: { readonly topic: string; readonly ratePerSecond: number; readonly servers: ProduceServers },
): Promise<LatencyFigures> {
  const { topic, ratePerSecond, servers } = at;
  const produce = { settings, ratePerSecond };
  const job = { load: 'produce-sdk', topic, seconds: LATENCY_SECONDS * seconds, produce };
  const sample = await servers.ours.run(job);
  const { recordCount, latencies = '' } = sample;
  return {
    ratePerSecond,
    recordCount,
    ackedPerSecond: recordsPerSecond(sample),
    latencyMs: mergedPercentiles([latencies]),
  };
}

function perMegabyte({ client, gateway, brokers }: CpuMs, { bytes }: Sample): CpuMs {
  const megabytes = bytes / 1e6;
  return { client: client / megabytes, gateway: gateway / megabytes, brokers: brokers / megabytes };
}

function medians(costs: readonly CpuMs[]): CpuMs {
  return {
    client: median(costs.map(({ client }) => client)),
    gateway: median(costs.map(({ gateway }) => gateway)),
    brokers: median(costs.map(({ brokers }) => brokers)),
  };
}
