/** Whether a soak was flat, process by process. */
import { courseOf, LATE_MS } from './samples.ts';
import type { Course, ServiceSample, SoakSample } from './samples.ts';

/** How much the last fifth may lie above the second one: garbage collection breathes. */
export const GROWTH_MAX = 1.1;
/** Descriptors may also be that many more: connections and segments come and go. */
export const DESCRIPTORS_MORE_MAX = 16;
/** Of all turns of an event loop, how many may be late: their p99 is below LATE_MS. */
export const LATE_SHARE_MAX = 0.01;

export interface ServiceVerdict {
  readonly name: string;
  readonly resident: Course;
  readonly heap: Course;
  readonly descriptors: Course;
  /** Median and highest of the samples' p99. */
  readonly loopDelayMs: { readonly median: number; readonly highest: number };
  /** Of the turns of its event loop from the first sample to the last: how many of one were late. Undefined: it began again. */
  readonly lateShare: number | undefined;
  /** What is not as it should be; empty = all is. */
  readonly faults: readonly string[];
}

/** A verdict for each process that is in all samples. Throws an Error when there are too few samples. */
export function verdictsOf(samples: readonly SoakSample[]): ServiceVerdict[] {
  const names = Object.keys(samples[0]?.services ?? {});
  return names
    .filter((name) => samples.every(({ services }) => name in services))
    .map((name) => verdictOf(name, samples));
}

function verdictOf(name: string, samples: readonly SoakSample[]): ServiceVerdict {
  const course = (of: (sample: ServiceSample) => number): Course =>
    courseOf(
      samples.flatMap(({ atMs, services: { [name]: one } }) => (one === undefined ? [] : { atMs, value: of(one) })),
    );
  const resident = course(({ residentBytes }) => residentBytes);
  const descriptors = course(({ descriptorCount }) => descriptorCount);
  const delays = samples.flatMap(({ services }) => services[name]?.loopDelayMs ?? []).toSorted((a, b) => a - b);
  const lateShare = lateShareOf(samples.flatMap(({ services }) => services[name] ?? []));
  const faults = [
    ...(resident.late > resident.early * GROWTH_MAX ? ['memory grew'] : []),
    ...(descriptors.late > descriptors.early + DESCRIPTORS_MORE_MAX ? ['descriptors grew'] : []),
    ...(lateShare === undefined ? ['the process began again'] : []),
    ...(lateShare !== undefined && lateShare > LATE_SHARE_MAX ? [`event loop above ${LATE_MS} ms`] : []),
  ];
  return {
    ...{ name, resident, descriptors, faults },
    heap: course(({ heapBytes }) => heapBytes),
    loopDelayMs: { median: delays[Math.floor(delays.length / 2)] ?? 0, highest: delays.at(-1) ?? 0 },
    lateShare,
  };
}

/** Undefined when the counts of a sample are not above those before: the process that was counted is another one. */
function lateShareOf(samples: readonly ServiceSample[]): number | undefined {
  const [first, last] = [samples[0], samples.at(-1)];
  const isOne = samples.every(
    ({ turnCount }, index) => index === 0 || turnCount > (samples[index - 1]?.turnCount ?? 0),
  );
  if (first === undefined || last === undefined || !isOne) return undefined;
  return (last.lateTurnCount - first.lateTurnCount) / (last.turnCount - first.turnCount);
}
