/** What a seed is about: every seed draws its own shard, its own speeds and its own mix of faults (swarm testing). */
import type { SeededRandom } from '@partita/testkit';

/** Faults by kind, in the order in which their weights are drawn. */
export const FAULTS = [
  'owner crash',
  'owner pause',
  'shard to another owner',
  'two owners',
  'leader away',
  'member crash',
  'member pause',
  'member leave',
  'member process replaced',
  'subscription',
  'topic created',
  'topic deleted',
  'partition added',
  'reset',
  'expiry',
  'compaction',
] as const;

export type Fault = (typeof FAULTS)[number];

export interface Plan {
  readonly isStorm: boolean;
  readonly nodeCount: number;
  readonly groupCount: number;
  /** Processes per group. */
  readonly memberCount: number;
  readonly staticShare: number;
  readonly partitionCount: number;
  readonly durationMs: number;
  /** Longest ordinary way of a message. */
  readonly delayMsMax: number;
  /** A request or an answer is lost. */
  readonly drop: number;
  /** A request arrives seconds later, when newer ones have. */
  readonly limbo: number;
  /** After so long an append is in doubt. */
  readonly doubtMs: number;
  readonly resendCountMax: number;
  /** Records in one batch. */
  readonly batchRecordsMax: number;
  /** Records that a replay reads at a time. */
  readonly replayRecordCount: number;
  readonly produceEveryMs: number;
  readonly consumeEveryMs: number;
  /** Longest time that a record is worked on. */
  readonly workMsMax: number;
  /** Share of finished records that are committed at once. */
  readonly commitShare: number;
  readonly sessionMs: number;
  readonly rebalanceMs: number;
  readonly faultEveryMs: number;
  readonly weights: Readonly<Record<Fault, number>>;
}

export function drawPlan(random: SeededRandom): Plan {
  const isStorm = random.chance(0.5);
  const weights = Object.fromEntries(
    FAULTS.map((fault) => [fault, random.chance(isStorm ? 0.6 : 0.35) ? random.between(1, 10) : 0]),
  ) as Record<Fault, number>;
  // Something always happens.
  weights['member crash'] += 1;
  const share = (highest: number) => (random.chance(0.6) ? (random.word() / 2 ** 32) * highest : 0);
  return {
    isStorm,
    nodeCount: random.between(2, 3),
    groupCount: random.chance(0.25) ? 2 : 1,
    memberCount: random.between(1, 4),
    staticShare: random.pick([0, 0.3, 0.7]),
    partitionCount: random.between(1, 4),
    durationMs: random.between(1200, isStorm ? 4000 : 3000),
    delayMsMax: random.pick([1, 5, 20, isStorm ? 100 : 40]),
    drop: share(0.08),
    limbo: share(0.1),
    doubtMs: random.pick([40, 120, 300]),
    resendCountMax: random.between(0, 2),
    batchRecordsMax: random.pick([60, 60, 1000]),
    replayRecordCount: random.pick([5, 50, 1000]),
    produceEveryMs: random.pick([20, 50, 120]),
    consumeEveryMs: random.pick([20, 50, 100]),
    workMsMax: random.pick([2, 30, 200]),
    commitShare: random.pick([0.3, 0.7, 1]),
    sessionMs: random.pick([500, 900]),
    rebalanceMs: random.pick([600, 1200]),
    faultEveryMs: isStorm ? random.pick([60, 120, 250]) : random.pick([300, 700]),
    weights,
  };
}
