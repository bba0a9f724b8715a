/** One seed: a partition log through several lives of its program, held against the model at each step. */
import { DATA } from './log-identity.ts';
import { injectDamage } from './log-damage.ts';
import { readAllChecked } from './log-readings.ts';
import { LogProgram } from './log-program.ts';
import { startProgram } from './log-start.ts';
import type { StoredFacts } from './stored-facts.ts';
import { LogWorld } from './log-world.ts';
import { runToResult } from './seed-run.ts';
import type { RunOptions, RunResult } from './seed-run.ts';
import { passTurns } from './settle.ts';
import { Violation } from './trace.ts';

/** Starts of one life that may fail; after that nothing goes wrong any more, and it must open. */
const START_COUNT_MAX = 6;

/** Runs a seed. Never throws for what the product did. */
export async function runLogSeed(seed: number, options: RunOptions = {}): Promise<RunResult> {
  const world = new LogWorld(seed, { keepsTrace: options.keepsTrace ?? false, mutant: options.mutant });
  return runToResult(seed, world, () => runLives(world));
}

async function runLives(world: LogWorld): Promise<void> {
  const { plan, disk, trace, tally } = world;
  trace.note(`plan ${JSON.stringify(plan)}`);
  await disk.start().makeDirectory(DATA);
  disk.names.sync('/');
  const facts: StoredFacts = { marker: undefined, checkpoints: [undefined], starts: [0n] };
  for (let life = 0; life < plan.lifeCount; life += 1) {
    trace.note(`life ${life}`);
    setFaults(world);
    const program = await start(world, facts);
    if (program === 'refused') return;
    tally.add('lives');
    await program.run(world.random.between(1, plan.stepsMax));
    await end(world, program);
    injectDamage(world);
  }
  await finish(world, facts);
}

/** Sets what may go wrong in the life that begins. */
function setFaults(world: LogWorld): void {
  const { plan, disk, random } = world;
  const { ioError, noSpace, readFlip, turnsMax } = plan;
  disk.faults.calm();
  const isQuiet = random.chance(0.3);
  Object.assign(disk.rates, isQuiet ? { turnsMax } : { ioError, noSpace, readFlip, turnsMax });
  if (random.chance(plan.crash)) disk.faults.failAt(random.between(1, plan.crashCallMax), 'power');
}

/** Starts the program, again and again if need be. */
async function start(world: LogWorld, facts: StoredFacts): Promise<LogProgram | 'refused'> {
  const { disk, random, plan } = world;
  const { readFlip } = disk.rates;
  for (let count = 0; count <= START_COUNT_MAX; count += 1) {
    const since = { errorCount: world.errorCount, readFlipCount: world.readFlipCount };
    let program: LogProgram | undefined;
    disk.rates.readFlip = readFlip;
    if (count === START_COUNT_MAX) disk.faults.calm();
    const opened = await startProgram(world, facts, {
      onSynced: (endOffset) => {
        world.trace.note(`    synced ${endOffset}`);
        world.model.acknowledge(endOffset);
      },
      onFailed: (error) => program?.onFailed(error),
      onCut: async (endOffset) => program?.onCut(endOffset),
    });
    if (opened === 'refused') return 'refused';
    if (opened !== 'again') {
      program = new LogProgram(world, facts, opened, since);
      disk.rates.readFlip = count === START_COUNT_MAX ? 0 : readFlip;
      world.powerCut = false;
      world.syncFailed = false;
      world.hasFailed = false;
      if (random.chance(0.5)) await readAllChecked(world, opened.log);
      return program;
    }
    if (disk.isRunning) endLife(world, random.chance(0.5));
    else noteCut(world);
    await passTurns(300);
    if (random.chance(0.5)) disk.faults.failAt(random.between(1, plan.crashCallMax), 'power');
  }
  throw new Violation('the log does not open, though nothing is wrong');
}

async function end(world: LogWorld, program: LogProgram): Promise<void> {
  const { plan, disk, random } = world;
  if (disk.isRunning) {
    if (random.chance(plan.clean)) await program.stop();
    else await program.abandon();
  }
  if (disk.isRunning) endLife(world, !random.chance(plan.kill));
  else noteCut(world);
  await passTurns(300);
  await program.endReadings();
}

function endLife(world: LogWorld, byPowerCut: boolean): void {
  world.trace.note(byPowerCut ? '  power cut' : '  killed');
  world.tally.add(byPowerCut ? 'power cuts' : 'kills');
  if (byPowerCut) {
    world.disk.cutPower();
    noteCut(world);
  } else world.disk.kill();
}

function noteCut(world: LogWorld): void {
  world.powerCut = true;
}

/** At the end nothing goes wrong any more: the log must open, hold what was promised, and take more. */
async function finish(world: LogWorld, facts: StoredFacts): Promise<void> {
  const { disk, trace } = world;
  for (const name of ['the end', 'the end, once more']) {
    trace.note(name);
    disk.faults.calm();
    const program = await start(world, facts);
    if (program === 'refused') return;
    await program.finish();
    await program.stop();
    await program.endReadings();
    disk.kill();
  }
}
