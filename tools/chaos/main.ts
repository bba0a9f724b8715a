/** `npm run chaos`: faults on a cluster of real processes under a checked history. Exit code 1 when anything is wrong in it. */
import { redisServerCommand } from '@partita/tool-dev/redis.ts';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { Command, InvalidArgumentError } from 'commander';
import { abilities } from './cluster/abilities.ts';
import { ChaosCluster } from './cluster/chaos-cluster.ts';
import { FAULTS, faultsNamed, whyNotHere } from './faults/catalog.ts';
import type { Fault } from './faults/fault.ts';
import { ROW_HEAD, rowCells, rowOf } from './fault-row.ts';
import { planMix, planRounds, spellText } from './plan.ts';
import type { Spell } from './plan.ts';
import { runTrial } from './trial.ts';

interface ChaosOptions {
  readonly faults: string;
  readonly seconds: number;
  readonly seed: number;
  readonly each: boolean;
  readonly rounds: number;
  readonly partitions: number;
  readonly brokers: number;
  readonly list: boolean;
  readonly keep: boolean;
}

const EACH_QUIET_MS = 2000;
const options = new Command('npm run chaos --')
  .description(
    'Hurts a cluster of real processes, each in a network of its own, while clients work on it, and checks what they were told.',
  )
  .option('--faults <words>', 'names of faults or parts of them, by comma; default: all', '')
  .option('--seconds <n>', 'of a mix: how long; with --each: how long each fault lasts', wholeNumber, 60)
  .option('--seed <n>', 'decides the mix', wholeNumber, 1)
  .option('--each', 'each fault alone, in turn, instead of a mix', false)
  .option('--rounds <n>', 'with --each: how often', wholeNumber, 1)
  .option('--partitions <n>', 'of the topic', wholeNumber, 3)
  .option('--brokers <n>', 'of the cluster', wholeNumber, 4)
  .option('--list', 'lists the faults, and which of them this machine can do', false)
  .option('--keep', 'keeps the directory of the cluster, with all logs, also when nothing is wrong', false)
  .addHelpText(
    'after',
    '\nNetworks and clocks need root on Linux, and the packages nftables and faketime, which are installed if need be.' +
      '\nA mix is spells of one to three faults with quiet between them. The same seed plans the same mix.',
  )
  .parse()
  .opts<ChaosOptions>();

process.exitCode = options.list ? await list() : await hurt();

async function list(): Promise<number> {
  const able = await abilities();
  for (const fault of FAULTS) {
    const why = whyNotHere(fault, able);
    process.stdout.write(`${fault.name.padEnd(30)}${fault.says}${why === undefined ? '' : ` (not here: ${why})`}\n`);
  }
  return 0;
}

async function hurt(): Promise<number> {
  const able = await abilities();
  const chosen = options.faults === '' ? FAULTS : faultsNamed(options.faults.split(','));
  for (const fault of chosen) {
    const why = whyNotHere(fault, able);
    if (why !== undefined) say(`left out: ${fault.name}: ${why}`);
  }
  const faults = chosen.filter((fault) => whyNotHere(fault, able) === undefined);
  const spells = plan(faults);
  for (const spell of spells) say(`  ${spellText(spell)}`);
  const redisCommand = await findRedis();
  const cluster = await ChaosCluster.start({ abilities: able, redisCommand, brokerCount: options.brokers, log: say });
  let holds = false;
  process.once('SIGINT', () => void cluster.stop().then(() => process.exit(130)));
  try {
    const { partitions: partitionCount, seed } = options;
    const result = await runTrial({ cluster, name: 'chaos', partitionCount, spells, seed, log: say });
    const row = rowOf(options.each ? faults.map(({ name }) => name).join('+') : `mix of seed ${seed}`, result);
    ROW_HEAD.forEach((name, index) => process.stdout.write(`${name.padEnd(26)}${rowCells(row)[index] ?? ''}\n`));
    process.stdout.write(`${'batches equal'.padEnd(26)}${result.batchCount}\n`);
    for (const problem of result.problems) process.stdout.write(`WRONG: ${problem}\n`);
    holds = result.problems.length === 0;
    return holds ? 0 : 1;
  } finally {
    await cluster.stop();
    if (holds && !options.keep) cluster.removeHome();
    else say(`kept ${cluster.home}\nagain: npm run chaos -- ${process.argv.slice(2).join(' ')}`);
  }
}

function plan(faults: readonly Fault[]): Spell[] {
  if (faults.length === 0) throw new Error('this machine can do none of these faults');
  if (options.each) return planRounds(faults, options.rounds, options.seconds * 1000, EACH_QUIET_MS);
  return planMix(faults, options.seed, options.seconds);
}

async function findRedis() {
  const home = join(tmpdir(), 'partita-chaos-redis');
  return redisServerCommand({ home, source: 'system' }).catch(() =>
    redisServerCommand({ home, source: 'unpacked', log: say }),
  );
}

function say(line: string): void {
  process.stderr.write(`${(performance.now() / 1000).toFixed(1).padStart(6)} ${line}\n`);
}

function wholeNumber(text: string): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 0) throw new InvalidArgumentError('a whole number is wanted');
  return number;
}
