/** `npm run bench -- soak`: most of what the cluster takes, for long: does anything grow? */
import { loadavg } from 'node:os';
import { connect } from '@partita/client';
import { launchCluster } from '@partita/tool-dev/own-cluster.ts';
import { readReadyFile } from '@partita/tool-dev/ready-file.ts';
import { progress, publish } from '../bench-run.ts';
import type { BenchRun, ReportOptions } from '../bench-run.ts';
import { LoadProcess } from '../child-process.ts';
import { mergedPercentiles } from '../latencies.ts';
import { thisMachine } from '../machine.ts';
import { BASE } from '../produce/settings.ts';
import { recordsPerSecond } from '../sample.ts';
import type { Sample } from '../sample.ts';
import { BenchTopics } from '../topics.ts';
import { BROKER_COUNT } from '../workload.ts';
import { soakHeader, soakTables } from './report.ts';
import type { SoakFacts, SoakOutcome } from './report.ts';
import { SoakSampler } from './sampler.ts';

const MIB = 1024 * 1024;
/** Of each partition: as much as is deleted again while the soak goes on. */
const KEPT = { retentionBytes: BigInt(256 * MIB), segmentBytes: BigInt(32 * MIB) };
const WARM_UP_SECONDS = 2;
/** In its first seconds a cluster takes less, in some runs by a third: not all code is compiled yet. */
const PROBE_SECONDS = 30;
const INTERVAL_MS_MAX = 10_000;
const INTERVAL_MS_MIN = 1000;
/** Samples of a soak that is too short for an interval of INTERVAL_MS_MAX. */
const SAMPLE_COUNT = 30;

export interface SoakOptions extends ReportOptions {
  readonly minutes: number;
  /** Of what the closed loop reaches. */
  readonly share: number;
  /** Records a second instead. */
  readonly rate?: number;
}

interface Soaked {
  readonly topic: string;
  readonly producer: LoadProcess;
  readonly sampler: SoakSampler;
}

export async function benchSoak(run: BenchRun<SoakOptions>): Promise<void> {
  const { options, cleanUps } = run;
  const loadAverage = loadavg()[0] ?? 0;
  const { topic, producer, sampler } = await start(run);
  const produce = (seconds: number, ratePerSecond?: number): Promise<Sample> =>
    producer.run({
      load: 'produce-sdk',
      topic,
      seconds,
      produce: { settings: BASE, ...(ratePerSecond === undefined ? {} : { ratePerSecond }) },
    });
  progress('measuring what the cluster takes');
  await produce(WARM_UP_SECONDS);
  const capacityPerSecond = recordsPerSecond(await produce(PROBE_SECONDS));
  const seconds = options.minutes * 60;
  const facts: SoakFacts = {
    ...thisMachine(),
    minutes: options.minutes,
    intervalMs: Math.min(INTERVAL_MS_MAX, Math.max(INTERVAL_MS_MIN, (seconds * 1000) / SAMPLE_COUNT)),
    capacityPerSecond,
    share: options.rate === undefined ? options.share : options.rate / capacityPerSecond,
    ratePerSecond: options.rate ?? Math.max(1, Math.round(capacityPerSecond * options.share)),
    loadAverage,
  };
  let isPublished = false;
  const tell = (outcome: Omit<SoakOutcome, 'samples'>): void => {
    if (isPublished) return;
    isPublished = true;
    const whole = { ...outcome, samples: sampler.samples };
    publish(options, { header: soakHeader(facts), tables: soakTables(whole), figures: { facts, ...whole } });
  };
  // Comes first of all that is undone: whoever interrupts a soak wants to see what there is.
  cleanUps.add(() => tell({ why: 'it was interrupted' }));
  await soak(() => produce(seconds, facts.ratePerSecond), {
    sampler,
    facts,
    tell,
    isLeaving: () => cleanUps.isLeaving,
  });
}

/** Throws what ended it early, after it was told. */
async function soak(
  send: () => Promise<Sample>,
  {
    sampler,
    facts,
    tell,
    isLeaving,
  }: {
    readonly sampler: SoakSampler;
    readonly facts: SoakFacts;
    readonly tell: (outcome: Omit<SoakOutcome, 'samples'>) => void;
    readonly isLeaving: () => boolean;
  },
): Promise<void> {
  sampler.start(facts.intervalMs, facts.minutes);
  try {
    const sample = await Promise.race([send(), sampler.failure]);
    const { recordCount, latencies = '' } = sample;
    const latencyMs = mergedPercentiles([latencies]);
    tell({ sent: { recordCount, perSecond: recordsPerSecond(sample), latencyMs }, why: undefined });
  } catch (error) {
    if (!isLeaving()) tell({ why: error instanceof Error ? error.message : String(error) });
    throw error;
  } finally {
    sampler.stop();
  }
}

async function start({ cleanUps }: BenchRun<SoakOptions>): Promise<Soaked> {
  progress('starting a cluster');
  const cluster = launchCluster({ purpose: 'soak', brokerCount: BROKER_COUNT, metrics: true });
  cleanUps.add(async () => {
    await cluster.stop();
    cluster.removeHome();
  });
  await cluster.untilReady();
  const { servers, home } = cluster;
  const client = await connect({ servers, clientId: 'partita-bench' });
  cleanUps.add(() => client.close());
  const topic = await new BenchTopics(client.admin).create({ ...BASE, ...KEPT }, BASE.partitionCount);
  const [producer, consumer] = await Promise.all([
    LoadProcess.start({ kind: 'partita', servers }),
    LoadProcess.start({ kind: 'partita', servers }),
  ]);
  cleanUps.add(() => producer.stop());
  cleanUps.add(() => consumer.stop());
  const sampler = new SoakSampler(readReadyFile(home).metrics ?? {});
  // Reads until its process is ended; it answers only when something is wrong.
  consumer.run({ load: 'read-along', topic, seconds: Infinity }).then(
    () => sampler.fail(new Error('the consumer ended')),
    (error: unknown) => sampler.fail(error as Error),
  );
  return { topic, producer, sampler };
}
