/** One seed from beginning to end. */
import { runToResult } from '../seed-run.ts';
import type { RunOptions, RunResult } from '../seed-run.ts';
import { World } from './world.ts';

const MS_PER_HOUR = 3_600_000;

/** Runs a seed. Never throws for what the product did. */
export async function runClusterSeed(
  seed: number,
  { keepsTrace = false }: Pick<RunOptions, 'keepsTrace'> = {},
): Promise<RunResult> {
  const world = new World(seed, keepsTrace);
  const { trace, tally, time } = world;
  return runToResult(seed, { trace, tally }, async () => {
    time.install();
    try {
      await live(world);
    } finally {
      time.restore();
      for (const node of world.nodes) node.process?.die();
      tally.add('steps', time.eventCount);
      tally.add('virtual hours', time.nowMs / MS_PER_HOUR);
    }
  });
}

async function live(world: World): Promise<void> {
  for (const node of world.nodes) node.startLater(world.random.below(200));
  await world.run(3000);
}
