/** One seed from beginning to end. */
import { runToResult } from '../seed-run.ts';
import type { RunOptions, RunResult } from '../seed-run.ts';
import { Trace } from '../trace.ts';
import { endSeed } from './ending.ts';
import { Faults, reassign } from './faults.ts';
import { World } from './world.ts';

/** Time for the first members before anything goes wrong. */
const QUIET_MS = 150;
const MS_PER_HOUR = 3_600_000;

/** Runs a seed. Never throws for what the product did. */
export async function runGroupsSeed(seed: number, options: Pick<RunOptions, 'keepsTrace'> = {}): Promise<RunResult> {
  const world = new World(seed, options.keepsTrace ?? false);
  const trace = world.trace ?? new Trace(false);
  const { tally } = world;
  // Refusals are many and their stacks are never looked at, but in a replay.
  const { stackTraceLimit } = Error;
  if (world.trace === undefined) Error.stackTraceLimit = 0;
  return runToResult(seed, { trace, tally }, async () => {
    try {
      live(world);
    } finally {
      Error.stackTraceLimit = stackTraceLimit;
      tally.add('steps', world.steps);
      tally.add('virtual hours', world.nowMs / MS_PER_HOUR);
    }
  });
}

function live(world: World): void {
  const faults = new Faults(world);
  reassign(world, world.assigned, 0);
  for (const member of world.members) world.after(world.random.below(80), () => member.start());
  produce(world);
  world.run(QUIET_MS);
  faults.start();
  world.run(QUIET_MS + world.plan.durationMs);
  faults.stop();
  endSeed(world);
}

function produce(world: World): void {
  world.after(world.plan.produceEveryMs, () => {
    if (world.isCalm) return;
    world.topics.produce(world.random);
    produce(world);
  });
}
