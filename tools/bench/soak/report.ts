/** The soak as Markdown. */
import type { Percentiles } from '../latencies.ts';
import { machineLine } from '../machine.ts';
import type { Machine } from '../machine.ts';
import { count, markdownTable } from '../markdown-table.ts';
import { median } from '../rounds.ts';
import { BASE } from '../produce/settings.ts';
import { BROKER_COUNT } from '../workload.ts';
import { LATE_MS, SAMPLE_COUNT_MIN } from './samples.ts';
import type { Course, SoakSample } from './samples.ts';
import { GROWTH_MAX, LATE_SHARE_MAX, verdictsOf } from './verdict.ts';
import type { ServiceVerdict } from './verdict.ts';

export interface SoakFacts extends Machine {
  /** As asked for. */
  readonly minutes: number;
  readonly intervalMs: number;
  /** Records a second that the closed loop reached, and the share of it that the soak sends. */
  readonly capacityPerSecond: number;
  readonly share: number;
  readonly ratePerSecond: number;
  /** Processes that wanted a core before the bench began, over a minute. */
  readonly loadAverage: number;
}

/** What came of it; `sent` is absent when the soak was ended before its time. */
export interface SoakOutcome {
  readonly samples: readonly SoakSample[];
  readonly sent?: { readonly recordCount: number; readonly perSecond: number; readonly latencyMs: Percentiles };
  /** Why it ended early; undefined = it did not. */
  readonly why: string | undefined;
}

const MIB = 1024 * 1024;
const LINE_COUNT_MAX = 30;

export function soakHeader(facts: SoakFacts): string {
  return `# Partita soak

${machineLine(facts)}
  Clients and services share these ${facts.coreCount} cores. Load average before the run: ${facts.loadAverage.toFixed(1)}.
- **Workload**: ${count(facts.ratePerSecond)} records of ${BASE.recordBytes} B a second, open loop, for ${facts.minutes} minutes: ${(facts.share * 100).toFixed(0)} % of the ${count(facts.capacityPerSecond)} a second that a closed
  loop reached just before, with the same group reading along. The SDK's producer through a gateway, ${BASE.partitionCount} partitions over ${BROKER_COUNT} brokers,
  replication ${BASE.replicationFactor}, acks=${BASE.acks}, flush=${BASE.flush}; a group of one member that takes batches. Old segments are deleted meanwhile.
- **Samples**: every ${facts.intervalMs / 1000} s from the metrics of each service; the delay of the event loop is that of one turn in a hundred since the
  sample before. The first fifth belongs to the start and counts for the event loop only.
- **Flat**: the median of the last fifth is at most ${GROWTH_MAX} of that of the second fifth. Event loop: of
  all its turns from the first sample to the last, at most ${(LATE_SHARE_MAX * 100).toFixed(0)} % more than ${LATE_MS} ms late, so that p99 is below.
`;
}

export function soakTables({ samples, sent, why }: SoakOutcome): string {
  const lasted = `${((samples.at(-1)?.atMs ?? 0) / 60_000).toFixed(1)} minutes, ${samples.length} samples`;
  const ended = why === undefined ? `It ran for ${lasted}.` : `**Ended early**, after ${lasted}: ${why}.`;
  if (samples.length < SAMPLE_COUNT_MIN) return `${ended} That is too few to judge.\n`;
  const verdicts = verdictsOf(samples);
  return [`${ended} ${conclusion(verdicts)}\n`, sentText(sent), servicesTable(verdicts), courseTable(samples)]
    .filter((part) => part !== '')
    .join('\n');
}

function conclusion(verdicts: readonly ServiceVerdict[]): string {
  const faulty = verdicts.filter(({ faults }) => faults.length > 0);
  if (faulty.length === 0) return 'Memory and descriptors are flat, the event loops on time.';
  return `**Not as it should be**: ${faulty.map(({ name, faults }) => `${name}: ${faults.join(', ')}`).join('; ')}.`;
}

function sentText(sent: SoakOutcome['sent']): string {
  if (sent === undefined) return '';
  const { recordCount, perSecond, latencyMs } = sent;
  const percentiles = `p50 ${latencyMs.p50.toFixed(1)} ms, p99 ${latencyMs.p99.toFixed(1)} ms, p99.9 ${latencyMs.p999.toFixed(1)} ms`;
  return `${count(recordCount)} records were acknowledged, ${count(perSecond)} a second, none refused; due to acknowledged: ${percentiles}.\n`;
}

function servicesTable(verdicts: readonly ServiceVerdict[]): string {
  const mib = ({ early, late }: Course): string => `${(early / MIB).toFixed(0)} → ${(late / MIB).toFixed(0)}`;
  return markdownTable(
    [
      'service',
      'memory MiB',
      'MiB/h',
      'heap MiB',
      'descriptors',
      'loop p99 ms',
      'highest',
      `turns above ${LATE_MS} ms`,
      'verdict',
    ],
    verdicts.map(({ name, resident, heap, descriptors, loopDelayMs, lateShare, faults }) => [
      name,
      mib(resident),
      (resident.slopePerHour / MIB).toFixed(0),
      mib(heap),
      `${descriptors.early.toFixed(0)} → ${descriptors.late.toFixed(0)}`,
      loopDelayMs.median.toFixed(1),
      loopDelayMs.highest.toFixed(1),
      lateShare === undefined ? '' : `${(lateShare * 100).toFixed(2)} %`,
      faults.length === 0 ? 'flat' : faults.join(', '),
    ]),
  );
}

/** How it went, in at most LINE_COUNT_MAX lines: memory of each service, and the highest lag and delay of the time. */
function courseTable(samples: readonly SoakSample[]): string {
  const size = Math.ceil(samples.length / LINE_COUNT_MAX);
  const names = Object.keys(samples[0]?.services ?? {});
  const parts = Array.from({ length: Math.ceil(samples.length / size) }, (_, index) =>
    samples.slice(index * size, (index + 1) * size),
  );
  return markdownTable(
    ['until minute', ...names.map((name) => `${name} MiB`), 'lag, records', 'loop p99 ms'],
    parts.map((part) => [
      ((part.at(-1)?.atMs ?? 0) / 60_000).toFixed(1),
      ...names.map((name) => (median(part.map(({ services }) => services[name]?.residentBytes ?? 0)) / MIB).toFixed(0)),
      count(Math.max(...part.map(({ lagRecords }) => lagRecords))),
      Math.max(
        ...part.flatMap(({ services }) => Object.values(services).map(({ loopDelayMs }) => loopDelayMs)),
      ).toFixed(1),
    ]),
  );
}
