/** What a seed draws before it begins: how large, how busy, how unlucky. Each seed weighs everything anew (swarm). */
import type { SeededRandom } from '@partita/testkit';

/** What a program does with its log. */
export const STEPS = [
  'append',
  'append and wait',
  'wait',
  'read',
  'find a time',
  'new epoch',
  'raise the high mark',
  'checkpoint',
  'cut',
  'disk full',
  'time passes',
  'trim',
  'roll',
  'compact',
  'restart',
] as const;
export type Step = (typeof STEPS)[number];

/** What may be done to a stored file while the power is off. */
export const DAMAGES = [
  'flip log',
  'shorten log',
  'flip index',
  'flip snapshot',
  'lose index',
  'stale index',
  'lose snapshot',
  'flip checkpoint',
] as const;
export type Damage = (typeof DAMAGES)[number];

export interface LogPlan {
  readonly flush: 'fsync' | 'os';
  readonly segmentBytesMax: number;
  /** Least and most bytes of a batch's value. */
  readonly valueBytes: readonly [number, number];
  readonly recordCountMax: number;
  readonly lifeCount: number;
  readonly stepsMax: number;
  readonly weights: readonly (readonly [Step, number])[];
  readonly turnsMax: number;
  readonly ioError: number;
  readonly noSpace: number;
  readonly readFlip: number;
  /** Probability that the power goes at some call of a life, and the highest number of that call. */
  readonly crash: number;
  readonly crashCallMax: number;
  /** How a life ends that nothing else ended: shares of clean stops and of kills; the rest are power cuts. */
  readonly clean: number;
  readonly kill: number;
  /** Probability of damage after a life, and the kinds that this seed knows. */
  readonly damage: number;
  readonly damages: readonly Damage[];
  /** Records have keys of so many, are tombstones, stand beside control batches; only in seeds that compact. */
  readonly keyCount: number;
  readonly tombstone: number;
  readonly control: number;
  readonly tombstoneDelayMs: number;
  /** Probability that the power goes within a trim, a compaction or a swap, each time. */
  readonly deletionCrash: number;
  /** Probability that a batch begins behind a hole, as a follower gets it from a compacted log. */
  readonly hole: number;
}

const KIB = 1024;

/** Steps that only seeds take which delete something. */
const DELETIONS: readonly Step[] = ['trim', 'roll', 'compact', 'restart'];

/**
 * Draws a plan. Half of the seeds are without damage and read flips: in those nothing may ever be refused. Of these, many
 * also delete: what deleted records said about the damaged ones nobody can hold against the log.
 */
export function drawPlan(random: SeededRandom, ofDeletions: SeededRandom, ofFollowers: SeededRandom): LogPlan {
  const basic = drawBasicPlan(random);
  const plan = basic.damage === 0 && ofDeletions.chance(0.7) ? withDeletions(basic, ofDeletions) : basic;
  return ofFollowers.chance(0.4) ? asFollower(plan, ofFollowers) : plan;
}

/** A snapshot that a leader sent is nowhere else: with damage to it the log is lost. */
function asFollower(plan: LogPlan, random: SeededRandom): LogPlan {
  const restarts = plan.damage === 0 ? random.pick([0, 1, 2]) : 0;
  return {
    ...plan,
    weights: [...plan.weights, ['restart', restarts]],
    hole: random.pick([0, 0.05, 0.3, 0.9]),
    deletionCrash: restarts === 0 ? plan.deletionCrash : random.pick([0, 0.15, 0.4]),
  };
}

function withDeletions(plan: LogPlan, random: SeededRandom): LogPlan {
  const compacts = random.chance(0.7);
  const weights: LogPlan['weights'] = [
    ['trim', random.pick(compacts ? [0, 0, 1, 2] : [1, 3, 6])],
    ['roll', random.pick([0, 1, 3])],
    ['compact', compacts ? random.pick([3, 6, 12]) : 0],
  ];
  return {
    ...plan,
    weights: [...plan.weights, ...weights],
    // Most of the power cuts are to fall into deletions.
    crash: random.pick([0, 0, 0.3]),
    // With flush=os a failed sync may lose sealed records, and with them why others went; a full disk fails syncs too.
    ...(plan.flush === 'os' ? { ioError: 0, noSpace: 0 } : {}),
    readFlip: random.chance(0.2) ? 0.005 : 0,
    recordCountMax: random.pick([1, 3, 20]),
    keyCount: compacts ? random.pick([1, 3, 10, 40]) : 0,
    tombstone: random.pick([0, 0.1, 0.4]),
    control: random.pick([0, 0.1, 0.4]),
    tombstoneDelayMs: random.pick([0, 0, 3000, Infinity]),
    deletionCrash: random.pick([0, 0.15, 0.4]),
  };
}

function drawBasicPlan(random: SeededRandom): LogPlan {
  const isLarge = random.chance(0.02);
  const segmentBytesMax = isLarge ? 6 * KIB * KIB : random.pick([3, 5, 8, 16, 32, 50, 120]) * KIB;
  const isDamaging = random.chance(0.5);
  const isCalm = random.chance(0.3);
  return {
    flush: random.chance(0.75) ? 'fsync' : 'os',
    segmentBytesMax,
    valueBytes: isLarge ? [1000, 900 * KIB] : [0, random.pick([50, 500, 3000, 3000, 20_000])],
    recordCountMax: random.pick([1, 1, 3, 20]),
    lifeCount: random.between(2, isLarge ? 3 : 7),
    stepsMax: random.between(4, isLarge ? 15 : 40),
    weights: STEPS.filter((step) => !DELETIONS.includes(step)).map((step) => [step, weightOf(step, random)] as const),
    turnsMax: random.pick([0, 1, 3, 10, 30]),
    ioError: isCalm ? 0 : random.pick([0, 0, 0.002, 0.01, 0.05]),
    noSpace: isCalm ? 0 : random.pick([0, 0, 0.002, 0.02, 0.1]),
    readFlip: isDamaging ? random.pick([0, 0.01, 0.1]) : 0,
    crash: random.pick([0, 0.3, 0.7, 1]),
    crashCallMax: random.pick([10, 40, 150]),
    clean: random.pick([0, 0.2, 0.6]),
    kill: random.pick([0, 0.2, 0.4]),
    damage: isDamaging ? random.pick([0.2, 0.5, 0.9]) : 0,
    damages: DAMAGES.filter(() => random.chance(0.5)),
    ...{ keyCount: 0, tombstone: 0, control: 0, tombstoneDelayMs: Infinity, deletionCrash: 0, hole: 0 },
  };
}

function weightOf(step: Step, random: SeededRandom): number {
  if (step === 'append' || step === 'append and wait') return random.pick([2, 5, 10]);
  if (step === 'cut') return random.pick([0, 0, 1, 3]);
  if (step === 'disk full') return random.pick([0, 0, 0, 1]);
  return random.pick([0, 1, 3]);
}

/** One of the steps, by the weights. */
export function drawStep(plan: LogPlan, random: SeededRandom): Step {
  const total = plan.weights.reduce((sum, [, weight]) => sum + weight, 0);
  let left = random.below(total);
  for (const [step, weight] of plan.weights) {
    if (left < weight) return step;
    left -= weight;
  }
  return 'append';
}
