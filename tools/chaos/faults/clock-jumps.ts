/** Wall clocks that are set, while the processes run or while they start again. Monotonic clocks go on. */
import { setTimeout as sleep } from 'node:timers/promises';
import { CLOCK_SEEN_MS } from '../cluster/clocks.ts';
import { the } from './fault.ts';
import type { Fault, Stage, Target } from './fault.ts';

const HOUR_SECONDS = 3600;

interface Jump {
  readonly target: Target;
  readonly aheadSeconds: number;
  /** True: the process starts again, and finds the other time. */
  readonly restarts?: boolean;
}

function jumping(name: string, says: string, { target, aheadSeconds, restarts = false }: Jump): Fault {
  const set = async (stage: Stage, victims: readonly string[], seconds: number): Promise<void> => {
    if (restarts) await stage.cluster.holdDown(victims);
    for (const victim of victims) stage.cluster.clocks?.set(victim, seconds);
    if (restarts) await stage.cluster.release(victims);
    await sleep(CLOCK_SEEN_MS);
  };
  return {
    name,
    says,
    needs: ['clocks'],
    mixes: true,
    inject: async (stage) => {
      const victims = await target(stage);
      await set(stage, victims, aheadSeconds);
      return { target: victims.join(), heal: () => set(stage, victims, 0) };
    },
  };
}

/** In both directions, for each role. */
function bothWays(role: string, target: Target): Fault[] {
  return [
    jumping(`${role}-clock-ahead`, `the clock of the ${role} is set an hour ahead, and back`, {
      target,
      aheadSeconds: HOUR_SECONDS,
    }),
    jumping(`${role}-clock-behind`, `the clock of the ${role} is set back by an hour, and ahead again`, {
      target,
      aheadSeconds: -HOUR_SECONDS,
    }),
  ];
}

export const CLOCK_JUMPS: readonly Fault[] = [
  ...bothWays('leader', the('leader')),
  ...bothWays('follower', the('follower')),
  ...bothWays('coordinator', the('active-coordinator')),
  ...bothWays('shard-owner', the('shard-owner')),
  ...bothWays('gateway', the('gateway')),
  ...bothWays('redis', the('redis')),
  jumping('leader-restarted-ahead', 'the leader is killed, and starts again an hour later by its clock', {
    target: the('leader'),
    aheadSeconds: HOUR_SECONDS,
    restarts: true,
  }),
  jumping('leader-restarted-behind', 'the leader is killed, and starts again an hour earlier by its clock', {
    target: the('leader'),
    aheadSeconds: -HOUR_SECONDS,
    restarts: true,
  }),
];
