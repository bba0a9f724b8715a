/** One seed from beginning to end. */
import { runToResult } from '../seed-run.ts';
import type { RunOptions, RunResult } from '../seed-run.ts';
import { endSeed } from './ending.ts';
import { Faults } from './faults.ts';
import { describeReplica } from './oracle.ts';
import { World } from './world.ts';

/** Time for the first elections before anything goes wrong. */
const QUIET_MS = 2500;
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
    const onRejection = (error: unknown) =>
      world.violated(`nobody hears of ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    process.on('unhandledRejection', onRejection);
    try {
      await live(world);
    } catch (error) {
      for (const replica of world.oracle.replicas) trace.note(describeReplica(replica));
      throw error;
    } finally {
      process.off('unhandledRejection', onRejection);
      time.restore();
      for (const node of world.nodes) node.process?.die();
      tally.add('steps', time.eventCount);
      tally.add('virtual hours', time.nowMs / MS_PER_HOUR);
    }
  });
}

async function live(world: World): Promise<void> {
  for (const node of world.nodes) node.startLater(world.random.below(200));
  world.clients.start();
  await world.run(QUIET_MS);
  const faults = new Faults(world);
  faults.start();
  await world.run(world.plan.durationMs);
  faults.stop();
  await endSeed(world);
}
