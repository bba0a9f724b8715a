/**
 * `npm test`, `npm run verify`, `npm run fix`: the same list of steps, with the suites behind it, without them, and in
 * its repairing form. Ends with a summary whose last line is `N passed, N failed`.
 */
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { testRedis } from './test-redis.ts';
import { ROOT, runCommand } from './run-command.ts';
import { VERIFY_STEPS, type VerifyStep } from './steps.ts';
import { type SuiteName, runSuite } from './suites.ts';
import { type Outcome, formatSummary } from './summary.ts';

const HELP = `npm test [-- options]        verify, then every suite: unit, then e2e (real processes, real Redis)
npm run verify               formats, types, lint, contract, dead code
npm run fix                  repairs what verify finds, where a machine can

Options of npm test
  --only unit|e2e|verify     one part
  --unit-minutes N           limit of the unit suites (8)
  --e2e-minutes N            limit of the e2e suites (18)
  --help
`;

interface Arguments {
  readonly command: 'test' | 'verify' | 'fix';
  readonly parts: ReadonlySet<string>;
  readonly minutes: Readonly<Record<SuiteName, number>>;
}

/** What the command line asks for. Throws with what to type instead. */
function parseCommandLine(argv: readonly string[]): Arguments | 'help' {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      only: { type: 'string' },
      'unit-minutes': { type: 'string', default: '8' },
      'e2e-minutes': { type: 'string', default: '18' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return 'help';
  const [command = 'test', ...rest] = positionals;
  if ((command !== 'test' && command !== 'verify' && command !== 'fix') || rest.length > 0) {
    throw new Error(`unknown command "${positionals.join(' ')}": test, verify or fix`);
  }
  const all = ['verify', 'unit', 'e2e'];
  if (values.only !== undefined && !all.includes(values.only)) {
    throw new Error(`--only ${values.only}: must be one of ${all.join(', ')}`);
  }
  const minutes = { unit: Number(values['unit-minutes']), e2e: Number(values['e2e-minutes']) };
  if (!(minutes.unit > 0 && minutes.e2e > 0)) throw new Error('minutes must be numbers above 0');
  return { command, minutes, parts: new Set(values.only === undefined ? all : [values.only]) };
}

async function runStep(step: VerifyStep, command: readonly [string, ...string[]]): Promise<Outcome> {
  const missing = step.needs !== undefined && !existsSync(join(ROOT, step.needs.file)) ? step.needs.advice : '';
  const result =
    missing === ''
      ? await runCommand(command, { secondsMax: step.secondsMax, output: 'on failure' })
      : { ok: false, durationMs: 0, failure: missing, output: '' };
  console.log(`${result.ok ? 'ok    ' : 'FAILED'} ${step.name} (${(result.durationMs / 1000).toFixed(1)} s)`);
  if (!result.ok) console.log(`${result.output}\n${step.name}: ${result.failure}\n`);
  return {
    name: step.name,
    durationMs: result.durationMs,
    passed: result.ok ? 1 : 0,
    failed: result.ok ? 0 : 1,
    skipped: [],
    failures: result.ok ? [] : [result.failure],
  };
}

/** Checks share the cores, since the longest of them uses one alone; repairs come one by one, since they write. */
async function runSteps({ command, parts }: Arguments): Promise<Outcome[]> {
  const wanted = VERIFY_STEPS.flatMap((step) => {
    const argv = command === 'fix' ? step.fix : step.check;
    // Suites need generated code whichever part is asked for.
    return argv !== undefined && (parts.has('verify') || step.name === 'generate') ? [{ step, argv }] : [];
  });
  const outcomes: Outcome[] = [];
  const runNext = async (): Promise<void> => {
    for (let next = wanted.shift(); next !== undefined; next = wanted.shift()) {
      const { step, argv } = next;
      outcomes.push(await runStep(step, argv));
      // What comes after it reads what it has made.
      if (step.name === 'generate') break;
    }
  };
  await runNext();
  const laneCount = command === 'fix' ? 1 : availableParallelism();
  await Promise.all(Array.from({ length: laneCount }, runNext));
  return outcomes;
}

async function run({ command, parts, minutes }: Arguments): Promise<Outcome[]> {
  const outcomes = await runSteps({ command, parts, minutes });
  if (command !== 'test') return outcomes;
  const env = parts.has('unit') || parts.has('e2e') ? await testRedis() : {};
  for (const name of ['unit', 'e2e'] as const) {
    if (parts.has(name)) outcomes.push(await runSuite(name, { minutesMax: minutes[name], env }));
  }
  return outcomes;
}

try {
  const parsed = parseCommandLine(process.argv.slice(2));
  if (parsed === 'help') {
    process.stdout.write(HELP);
  } else {
    const outcomes = await run(parsed);
    process.stdout.write(formatSummary(outcomes));
    if (outcomes.some(({ failed }) => failed > 0)) process.exitCode = 1;
  }
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${HELP}`);
  process.exitCode = 2;
}
