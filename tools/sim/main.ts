/** `node tools/sim/main.ts log --seed N`: replays a seed and prints what happened. `--seeds FROM COUNT`: many. */
import { runLogSeed } from './log-run.ts';

const [, , command, flag, first, second] = process.argv;
if (command === 'log' && flag === '--seed') {
  const result = await runLogSeed(Number(first), { keepsTrace: true });
  for (const line of result.trace) console.log(line);
  console.log(result.violation ?? 'passed', result.traceHash);
} else if (command === 'log' && flag === '--seeds') {
  const from = Number(first);
  const started = performance.now();
  const total = new Map<string, number>();
  let bad = 0;
  for (let seed = from; seed < from + Number(second); seed += 1) {
    const result = await runLogSeed(seed);
    for (const [name, count] of result.tally.counts) total.set(name, (total.get(name) ?? 0) + count);
    if (result.violation !== undefined) {
      bad += 1;
      console.log(seed, result.violation);
    }
  }
  console.log(
    [...total]
      .sort()
      .map(([name, count]) => `${name}: ${count}`)
      .join('\n'),
  );
  console.log(`${bad} bad, ${(Number(second) / (performance.now() - started)) * 1000} seeds/s`);
}
