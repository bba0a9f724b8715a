import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import { check } from '../checks.ts';
import { namesTheSlowPart, parseShownTrace } from '../shown-trace.ts';
import type { ShownTrace } from '../shown-trace.ts';
import type { Stage } from '../stage.ts';
import { RECORDS_PER_TRACE } from '../tracing.ts';
import type { TourTracing } from '../tracing.ts';

const PARTITA = fileURLToPath(new URL('../../../apps/cli/bin/partita.js', import.meta.url));
/** Services send their spans twice a second. */
const ARRIVAL_MS = 1000;
const COMMAND_MS_MAX = 20_000;
const TRACES_MAX = 1000;
const run = promisify(execFile);

/** Asks the console, with the command that a user has, for the slowest of the traced records of a topic. */
export async function showSlowest(stage: Stage, topic: string, { traces, stop }: TourTracing): Promise<void> {
  const { terminal, checks } = stage;
  terminal.step('Where did the time go? The slowest of the traced records');
  await stop();
  await sleep(ARRIVAL_MS);
  const listed = await partita(['trace', 'list', '--topic', topic, '--slowest', '--max', String(TRACES_MAX)], traces);
  const ids = listed.map((line) => parseShownId(line));
  const [id] = ids;
  if (id === undefined) {
    checks.push(check('records were traced', false, { yes: '', no: `the console has none of ${topic}` }));
    return;
  }
  terminal.line(`${ids.length} records of ${topic} were traced, one in ${RECORDS_PER_TRACE} that were sent`);
  const [shown = ''] = await partita(['trace', 'show', id], traces);
  const trace = parseShownTrace(shown);
  tell(stage, trace);
  checks.push(namesTheSlowPart(trace));
}

function tell({ terminal }: Stage, { traceId, durationMs, slowest, spans }: ShownTrace): void {
  const services = new Set(spans.map(({ service }) => service));
  terminal.line(`trace ${traceId}: ${Math.round(durationMs)} ms, ${spans.length} spans of ${services.size} services`);
  terminal.line(`slowest: ${slowest?.text ?? 'nothing'}`);
  terminal.line(`npx partita trace show ${traceId}`);
}

/** Lines of JSON. */
async function partita(args: readonly string[], traces: string): Promise<string[]> {
  const options = { timeout: COMMAND_MS_MAX, maxBuffer: 64 * 1024 * 1024 };
  const { stdout } = await run(process.execPath, [PARTITA, ...args, '--json', '--traces', traces], options);
  return stdout.split('\n').filter((line) => line !== '');
}

function parseShownId(line: string): string {
  const value: unknown = JSON.parse(line);
  if (typeof value === 'object' && value !== null && 'traceId' in value && typeof value.traceId === 'string')
    return value.traceId;
  throw new Error(`no trace: ${line}`);
}
