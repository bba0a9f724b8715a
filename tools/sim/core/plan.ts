/** What a seed is about: every seed draws its own cluster, its own speeds and its own mix of faults (swarm testing). */
import type { FlushMode } from '@partita/replication';
import type { SeededRandom } from '@partita/testkit';

/** Faults by kind, in the order in which their weights are drawn. */
export const FAULTS = [
  'kill',
  'power cut',
  'kill of all',
  'power cut of all',
  'pause',
  'failing disk',
  'full disk',
  'slow disk',
  'partition',
  'one-way cut',
  'leader cut off',
  'heal',
  'broken stream',
  'coordinator restart',
  'coordinator pause',
  'directory rolled back',
  'directory wiped',
  'directory outage',
  'wall clock jump',
  'damage',
  'wipe',
  'trim',
  'rival election',
] as const;

export type Fault = (typeof FAULTS)[number];

export interface Plan {
  readonly isStorm: boolean;
  readonly brokerCount: number;
  /** Brokers that have a replica in the beginning. */
  readonly memberCount: number;
  readonly partitionCount: number;
  readonly minInSyncReplicas: number;
  readonly flush: FlushMode;
  /** How long faults go on. */
  readonly durationMs: number;
  /** Longest ordinary way of a message. */
  readonly delayMsMax: number;
  readonly drop: number;
  readonly duplicate: number;
  /** A copy arrives seconds later. */
  readonly limbo: number;
  readonly syncMsMax: number;
  readonly slowSync: number;
  readonly appendEveryMs: number;
  readonly acksLeader: number;
  /** Share of the appends that are those of producer sessions. */
  readonly sessionShare: number;
  readonly faultEveryMs: number;
  readonly weights: Readonly<Record<Fault, number>>;
  /** New leaders that crash in their first moments. */
  readonly killsNewLeaders: number;
  /** Both coordinators believe to be active. */
  readonly isDuel: boolean;
  /** A broker believes whatever it was told last, not the highest epoch. */
  readonly trustsLastWord: boolean;
  /** Messages that a stream takes before it is full. */
  readonly streamWindow: number;
  /** Share of reads that the batches in memory do not answer. */
  readonly memoryMiss: number;
  /** After the storm only an election quorum is good, the others stay broken. */
  readonly endsWithQuorum: boolean;
  /** How the replica set changes meanwhile; undefined = it does not. */
  readonly changes: ChangePlan | undefined;
  /** How often a leader is asked to give way to a wished one; undefined = never. */
  readonly moveEveryMs: number | undefined;
}

/** Changes of replica sets, which have a source of chance of their own. */
export interface ChangePlan {
  readonly everyMs: number;
  /** Share of what is asked for that no leader may take. */
  readonly nonsense: number;
  /** Share of the steps that change m as well. */
  readonly minInSync: number;
  /** How long a replica that was removed stays before it is deleted, at most, milliseconds. */
  readonly deleteAfterMs: number;
}

export function drawPlan(random: SeededRandom): Plan {
  const isStorm = random.chance(0.5);
  const brokerCount = random.pick([1, 2, 2, 3, 3, 3, 3, 4, 5, 5]);
  const usual = Math.floor(brokerCount / 2) + 1;
  const minInSyncReplicas = random.chance(0.5) ? usual : random.between(1, brokerCount);
  const often = isStorm ? 1 : 0.15;
  const draw = (highest: number) => (random.chance(0.6) ? (random.word() / 2 ** 32) * highest * often : 0);
  const weights = Object.fromEntries(
    FAULTS.map((fault) => [fault, random.chance(isStorm ? 0.45 : 0.25) ? random.between(1, 10) : 0]),
  ) as Record<Fault, number>;
  // What is cut must heal now and then, or nothing else would be met.
  weights.heal = 6;
  return {
    isStorm,
    brokerCount,
    memberCount: brokerCount,
    partitionCount: random.chance(0.06) ? 2 : 1,
    minInSyncReplicas,
    flush: random.chance(0.35) ? 'os' : 'fsync',
    durationMs: random.between(2000, isStorm ? 9000 : 6000),
    delayMsMax: random.pick([1, 2, 5, 20, isStorm ? 200 : 40]),
    drop: draw(0.15),
    duplicate: draw(0.2),
    limbo: draw(0.1),
    syncMsMax: random.pick([1, 3, 10, isStorm ? 100 : 20]),
    slowSync: draw(0.04),
    appendEveryMs: random.pick([40, 80, 150, 300]),
    acksLeader: random.pick([0, 0.2, 0.5]),
    sessionShare: random.pick([0, 0.3, 0.6, 1]),
    faultEveryMs: isStorm ? random.pick([60, 150, 300, 700]) : random.pick([700, 1500, 3000]),
    weights,
    killsNewLeaders: draw(0.5),
    isDuel: random.chance(isStorm ? 0.4 : 0.15),
    trustsLastWord: random.chance(0.4),
    streamWindow: random.pick([1, 2, 8, 64]),
    memoryMiss: random.pick([0, 0, 0.3, 1]),
    endsWithQuorum: random.chance(0.4),
    changes: undefined,
    moveEveryMs: undefined,
  };
}

/** Brokers without a replica, beyond the members of the beginning. */
const SPARE_COUNT_MAX = 2;

/** The same seed with changes of replica sets, in a share of all seeds. Draws from a stream of its own. */
export function withChanges(plan: Plan, random: SeededRandom, share: number): Plan {
  if (!random.chance(share)) return plan;
  const memberCount = random.chance(0.3) ? Math.max(plan.minInSyncReplicas, plan.brokerCount - 1) : plan.brokerCount;
  return {
    ...plan,
    memberCount,
    brokerCount: plan.brokerCount + random.between(0, SPARE_COUNT_MAX),
    changes: {
      everyMs: random.pick([30, 80, 200, 500]),
      nonsense: random.pick([0, 0.05, 0.2]),
      minInSync: random.pick([0, 0.1, 0.4]),
      deleteAfterMs: random.pick([0, 200, 3000]),
    },
  };
}

/** The same seed with controlled moves of leaders, in a share of all seeds. Draws from a stream of its own. */
export function withMoves(plan: Plan, random: SeededRandom, share: number): Plan {
  if (plan.memberCount < 2 || !random.chance(share)) return plan;
  return { ...plan, moveEveryMs: random.pick([50, 150, 400, 1000]) };
}
