/** What is looked at during a soak, and what the row of looks says: does anything grow? */
import { median } from '../rounds.ts';

/** What one process told at one moment. */
export interface ServiceSample {
  readonly residentBytes: number;
  readonly heapBytes: number;
  readonly descriptorCount: number;
  /** Delay of its event loop since the sample before: one turn in a hundred came later than this. */
  readonly loopDelayMs: number;
  /** Turns of its event loop that were measured since the process began, and those of them that were late: see LATE_MS. */
  readonly turnCount: number;
  readonly lateTurnCount: number;
}

/** Everything at one moment. */
export interface SoakSample {
  /** Since the load began. */
  readonly atMs: number;
  /** By name: `broker-1`. */
  readonly services: Readonly<Record<string, ServiceSample>>;
  /** Records that the group has not committed. */
  readonly lagRecords: number;
}

/** A quantity of one process over the whole soak. */
export interface Course {
  /** Medians of the second fifth and of the last: the first belongs to the start. */
  readonly early: number;
  readonly late: number;
  /** Of a line through all from the second fifth on (least squares), by the hour. */
  readonly slopePerHour: number;
}

/** A turn of an event loop that came later than this is a late one; a bound of the buckets of `partita.eventloop.delay`. */
export const LATE_MS = 50;

const FIFTHS = 5;
const HOUR_MS = 60 * 60 * 1000;
/** Fewer tell nothing. */
export const SAMPLE_COUNT_MIN = 10;

/** Throws an Error when there are fewer than SAMPLE_COUNT_MIN. */
export function courseOf(points: readonly { readonly atMs: number; readonly value: number }[]): Course {
  if (points.length < SAMPLE_COUNT_MIN) throw new Error(`${points.length} samples tell nothing`);
  const fifth = Math.floor(points.length / FIFTHS);
  const settled = points.slice(fifth);
  const values = (part: typeof points): number => median(part.map(({ value }) => value));
  return {
    early: values(settled.slice(0, fifth)),
    late: values(points.slice(-fifth)),
    slopePerHour: slopeOf(settled) * HOUR_MS,
  };
}

/** Of a line through the points; 0 when they are all at one moment. */
function slopeOf(points: readonly { readonly atMs: number; readonly value: number }[]): number {
  const mean = (of: (point: { atMs: number; value: number }) => number): number =>
    points.reduce((sum, point) => sum + of(point), 0) / points.length;
  const [atMean, valueMean] = [mean(({ atMs }) => atMs), mean(({ value }) => value)];
  const spread = mean(({ atMs }) => (atMs - atMean) ** 2);
  return spread === 0 ? 0 : mean(({ atMs, value }) => (atMs - atMean) * (value - valueMean)) / spread;
}
