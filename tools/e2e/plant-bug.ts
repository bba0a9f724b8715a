/** Loaded before a service (`node --import`): puts the bug in that the environment names, in memory only. */
import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';
import { BUG_VARIABLE, PLANTED_BUGS } from './planted-bugs.ts';
import { PLANTED_GROUP_BUGS } from './planted-group-bugs.ts';
import { PLANTED_PRODUCER_BUGS } from './planted-producer-bugs.ts';

const bug = [...PLANTED_BUGS, ...PLANTED_GROUP_BUGS, ...PLANTED_PRODUCER_BUGS].find(
  ({ name }) => name === process.env[BUG_VARIABLE],
);
if (bug !== undefined) {
  registerHooks({
    load(url, context, nextLoad) {
      if (!url.endsWith(bug.file)) return nextLoad(url, context);
      const source = readFileSync(fileURLToPath(url), 'utf8');
      if (!source.includes(bug.from)) throw new Error(`${bug.file} does not hold: ${bug.from}`);
      return { format: 'module-typescript', shortCircuit: true, source: source.replace(bug.from, bug.to) };
    },
  });
}
