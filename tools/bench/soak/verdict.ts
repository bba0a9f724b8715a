/** Whether a soak was flat, process by process. */
import { courseOf } from './samples.ts';
import type { Course, ServiceSample, SoakSample } from './samples.ts';

/** How much the last fifth may lie above the second one: garbage collection breathes. */
export const GROWTH_MAX = 1.1;
/** Descriptors may also be that many more: connections and segments come and go. */
export const DESCRIPTORS_MORE_MAX = 16;
/** Goal for the delay of event loops, and the share of samples that may be above it. */
export const LOOP_DELAY_MS_MAX = 50;
export const LATE_SHARE_MAX = 0.01;

export interface ServiceVerdict {
  readonly name: string;
  readonly resident: Course;
  readonly heap: Course;
  readonly descriptors: Course;
  /** Median and highest of the samples' p99, and how many samples were above the goal. */
  readonly loopDelayMs: { readonly median: number; readonly highest: number; readonly lateCount: number };
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
  const lateCount = delays.filter((ms) => ms > LOOP_DELAY_MS_MAX).length;
  const faults = [
    ...(resident.late > resident.early * GROWTH_MAX ? ['memory grew'] : []),
    ...(descriptors.late > descriptors.early + DESCRIPTORS_MORE_MAX ? ['descriptors grew'] : []),
    ...(lateCount > delays.length * LATE_SHARE_MAX ? [`event loop above ${LOOP_DELAY_MS_MAX} ms`] : []),
  ];
  return {
    ...{ name, resident, descriptors, faults },
    heap: course(({ heapBytes }) => heapBytes),
    loopDelayMs: { median: delays[Math.floor(delays.length / 2)] ?? 0, highest: delays.at(-1) ?? 0, lateCount },
  };
}
