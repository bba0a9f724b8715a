/** What a seed is about: every seed draws its own cluster, its own speeds and its own mix of faults (swarm testing). */
import type { SeededRandom } from '@partita/testkit';
import type { DiskPace } from './cluster-disk.ts';
import type { Pace } from './network.ts';

/** Faults by kind, in the order in which their weights are drawn. */
export const FAULTS = [
  'broker killed',
  'broker without power',
  'all brokers without power',
  'broker paused',
  'broker wiped',
  'broker restarted',
  'coordinator killed',
  'coordinator paused',
  'coordinator restarted',
  'two cut apart',
  'one-way cut',
  'one isolated',
  'healed',
  'connection broken',
  'store wiped',
  'store rolled back',
  'store away',
  'store split',
  'store generation replaced',
  'disk fails',
  'wall clock jumps',
] as const;

export type Fault = (typeof FAULTS)[number];

export interface Plan {
  readonly isStorm: boolean;
  readonly brokerCount: number;
  readonly coordinatorCount: number;
  readonly topicCount: number;
  /** How long faults go on. */
  readonly durationMs: number;
  readonly network: Pace;
  readonly disk: DiskPace;
  readonly storeMsMax: number;
  /** Share of the store's answers that get lost after the write. */
  readonly storeLoses: number;
  readonly appendEveryMs: number;
  readonly adminEveryMs: number;
  readonly faultEveryMs: number;
  readonly weights: Readonly<Record<Fault, number>>;
}

const CALM = { durationMs: 6000, faultEveryMs: 1500 };
const STORM = { durationMs: 9000, faultEveryMs: 600 };

export function drawPlan(random: SeededRandom): Plan {
  const isStorm = random.chance(0.5);
  const { durationMs, faultEveryMs } = isStorm ? STORM : CALM;
  const weights = Object.fromEntries(
    FAULTS.map((fault) => [fault, random.chance(0.5) ? random.between(1, 10) : 0]),
  ) as Record<Fault, number>;
  return {
    isStorm,
    brokerCount: random.pick([3, 3, 3, 4, 5]),
    coordinatorCount: random.pick([1, 2, 2, 2]),
    topicCount: random.between(1, 2),
    durationMs,
    network: {
      minMs: 0.1,
      maxMs: random.pick([0.5, 2, isStorm ? 40 : 5]),
      slowShare: isStorm ? random.pick([0, 0.01, 0.05]) : 0,
      slowMs: random.pick([200, 3000]),
    },
    disk: {
      syncMsMax: random.pick([1, 5, isStorm ? 50 : 10]),
      stallShare: isStorm ? random.pick([0, 0, 0.01]) : 0,
      stallMsMax: 3000,
    },
    storeMsMax: random.pick([1, 5, isStorm ? 300 : 20]),
    storeLoses: isStorm ? random.pick([0, 0.02, 0.1]) : random.pick([0, 0, 0.01]),
    appendEveryMs: random.pick([100, 200, 400]),
    adminEveryMs: random.pick([500, 1000, 3000]),
    faultEveryMs,
    weights,
  };
}
