/** One seed from beginning to end. */
import { runToResult } from '../seed-run.ts';
import type { RunOptions, RunResult } from '../seed-run.ts';
import { Trace } from '../trace.ts';
import { endSeed } from './ending.ts';
import { Faults } from './faults.ts';
import { LeaderMoves } from './leader-moves.ts';
import { ReplicaChanges } from './replica-changes.ts';
import { World } from './world.ts';

/** Time for the first elections before anything goes wrong. */
const QUIET_MS = 300;
const MS_PER_HOUR = 3_600_000;

/** Of the seeds, those in which replica sets change. */
const CHANGE_SHARE = 0.25;

interface CoreOptions extends Pick<RunOptions, 'keepsTrace'> {
  readonly changeShare?: number;
}

/** Runs a seed. Never throws for what the product did. */
export async function runCoreSeed(
  seed: number,
  { keepsTrace = false, changeShare = CHANGE_SHARE }: CoreOptions = {},
): Promise<RunResult> {
  const world = new World(seed, keepsTrace, changeShare);
  const trace = world.trace ?? new Trace(false);
  const { tally } = world;
  return runToResult(seed, { trace, tally }, async () => {
    try {
      live(world);
    } finally {
      tally.add('steps', world.steps);
      tally.add('virtual hours', world.nowMs / MS_PER_HOUR);
    }
  });
}

function live(world: World): void {
  const faults = new Faults(world);
  const changes = new ReplicaChanges(world);
  const moves = new LeaderMoves(world);
  for (const coordinator of world.coordinators) coordinator.start();
  for (const broker of world.brokers) broker.startLater(world.random.below(50));
  world.clients.start();
  world.run(QUIET_MS);
  faults.start();
  changes.start();
  moves.start();
  world.run(QUIET_MS + world.plan.durationMs);
  faults.stop();
  changes.stop();
  moves.stop();
  endSeed(world);
}

/** Runs a seed in which replica sets change, whatever the share of such seeds is. */
export function runChangesSeed(seed: number, options: Pick<RunOptions, 'keepsTrace'> = {}): Promise<RunResult> {
  return runCoreSeed(seed, { ...options, changeShare: 1 });
}
