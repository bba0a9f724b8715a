/**
 * `node tools/sim/main.ts log|journal SEED` replays a seed and prints every step; exit code 1 when it breaks a promise.
 * `node tools/sim/main.ts log|journal FROM COUNT` runs many and prints what they add up to, as JSON.
 */
import { RUNNERS, runSeeds } from './campaign.ts';

const [subject, first, count] = process.argv.slice(2);
const seed = Number(first);
if ((subject !== 'log' && subject !== 'journal') || !Number.isSafeInteger(seed)) {
  console.error('usage: node tools/sim/main.ts log|journal SEED | FROM COUNT');
  process.exitCode = 2;
} else if (count !== undefined) console.log(JSON.stringify(await runSeeds(subject, seed, Number(count))));
else {
  const { trace, violation, traceHash } = await RUNNERS[subject](seed, { keepsTrace: true });
  console.log([...trace, `${violation ?? 'every promise was kept'} (trace ${traceHash})`].join('\n'));
  if (violation !== undefined) process.exitCode = 1;
}
