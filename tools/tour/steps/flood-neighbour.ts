import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { check } from '../checks.ts';
import { flightValue } from '../flights.ts';
import type { Flight } from '../flights.ts';
import { nowMs } from '../member-report.ts';
import { PARTITION_COUNT } from '../stage.ts';
import type { Stage } from '../stage.ts';

const FLOOD = fileURLToPath(new URL('../flood.ts', import.meta.url));
/** What the topic that is flooded may take. */
const QUOTA_BYTES_PER_SECOND = 2_000_000;
const WATCH_MS = 1500;
const SEND_EVERY_MS = 5;
const BEGIN_MS_MAX = 20_000;
const END_MS_MAX = 20_000;

interface Flooding {
  /** Ends it. Resolves with what it was given. */
  stop(): Promise<{ readonly bytes: number; readonly refusedCount: number; readonly tookMs: number }>;
}

/** A few records go to one topic all the time, while another client sends all it can to another topic. */
export async function floodNeighbour(stage: Stage, flights: readonly Flight[]): Promise<void> {
  const { client, terminal, checks, quietTopic, floodedTopic } = stage;
  terminal.step('A noisy neighbour: another topic is flooded');
  const topic = { partitionCount: PARTITION_COUNT };
  await client.admin.createTopic({ ...topic, name: quietTopic });
  const settings = { produceBytesPerSecond: BigInt(QUOTA_BYTES_PER_SECOND) };
  await client.admin.createTopic({ ...topic, name: floodedTopic, settings });
  const calm = await watch(stage, flights);
  const flooding = await flood(stage);
  const flooded = await watch(stage, flights);
  const { bytes, refusedCount, tookMs } = await flooding.stop();
  terminal.line(`its acknowledgements in calm: ${percentiles(calm.latenciesMs)}`);
  terminal.line(`while the other is flooded: ${percentiles(flooded.latenciesMs)}`);
  const quota = (QUOTA_BYTES_PER_SECOND / 1e6).toFixed(0);
  terminal.line(
    `${(bytes / 1000 / tookMs).toFixed(1)} MB/s of the flood were taken, its topic is to take ${quota} MB/s; ${refusedCount} refused`,
  );
  const failed = calm.failedCount + flooded.failedCount;
  const sent = calm.latenciesMs.length + flooded.latenciesMs.length + failed;
  checks.push(
    check('a flooded topic costs another one no record', failed === 0, {
      yes: `${sent} sent, all acknowledged`,
      no: `${failed} of ${sent} failed`,
    }),
  );
}

/** Sends a record every few milliseconds, whatever became of those before. */
async function watch(
  { client, quietTopic }: Stage,
  flights: readonly Flight[],
): Promise<{ readonly latenciesMs: readonly number[]; readonly failedCount: number }> {
  const producer = client.producer();
  const latenciesMs: number[] = [];
  let failedCount = 0;
  const sends: Promise<void>[] = [];
  for (const untilMs = nowMs() + WATCH_MS; nowMs() < untilMs;) {
    const flight = flights[sends.length % flights.length];
    if (flight === undefined) throw new Error('no flights to send');
    const startMs = nowMs();
    const send = producer.send(quietTopic, { key: flight.origin, value: flightValue(flight) });
    sends.push(
      send.then(
        () => void latenciesMs.push(nowMs() - startMs),
        () => void (failedCount += 1),
      ),
    );
    await sleep(SEND_EVERY_MS);
  }
  await Promise.all(sends);
  await producer.close();
  return { latenciesMs, failedCount };
}

/** Resolves when the first of it is acknowledged. */
async function flood({ servers, floodedTopic }: Stage): Promise<Flooding> {
  const child = spawn(process.execPath, [FLOOD, servers.join(','), floodedTopic], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (msMax: number): Promise<string> => {
    const timer = setTimeout(() => child.kill('SIGKILL'), msMax);
    const { value, done } = await lines.next();
    clearTimeout(timer);
    if (done === true) throw new Error('the flooding client ended without a word');
    return value;
  };
  await next(BEGIN_MS_MAX);
  const beganMs = nowMs();
  return {
    stop: async () => {
      const tookMs = nowMs() - beganMs;
      child.stdin.end();
      const told = JSON.parse(await next(END_MS_MAX)) as { readonly bytes: number; readonly refusedCount: number };
      return { ...told, tookMs };
    },
  };
}

function percentiles(latenciesMs: readonly number[]): string {
  const sorted = latenciesMs.toSorted((a, b) => a - b);
  const at = (share: number): string => (sorted[Math.floor((sorted.length - 1) * share)] ?? 0).toFixed(1);
  return `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`;
}
