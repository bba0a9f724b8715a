/** `partita trace`: what was traced, and where the time went. */
import { PAGE_SIZE_MAX } from '@partita/domain';
import { Option } from 'commander';
import type { Command } from 'commander';
import { duration, wholeNumber } from '../arguments.ts';
import type { Terminal } from '../terminal.ts';
import { TRACES_FLAG, TRACES_HELP } from '../traces/find-traces.ts';
import { momentArgument } from '../traces/moment.ts';
import { listTraces } from './trace-list.ts';
import type { ListOptions } from './trace-list.ts';
import { showTrace } from './trace-show.ts';
import type { ShowOptions } from './trace-show.ts';

const HELP = `
Traces begin where a client asks for one, and are kept by the console that npm start runs, the newest 2,000.

Examples:
  echo '{"value": "hi"}' | partita produce hello --trace
  partita trace list --topic hello --since 10m --slowest
  partita trace show --last
  partita trace show 4bf92f3577b3`;
const MOMENT_HELP = 'a time (2001-02-03T04:05:06Z) or how long ago (10m)';

const OPERATIONS_HELP = 'those that services began by themselves: elections, rebalances, recoveries';

export function addTraceCommand(program: Command, terminal: Terminal): void {
  const trace = program.command('trace').description('list and show traces').addHelpText('after', HELP);
  trace
    .command('list')
    .description('list traces, newest first')
    .option('--service <name>', 'only with a span of this service: partita-broker, say')
    .option('--topic <name>', 'only with a span of this topic')
    .option('--since <when>', `only begun then or later: ${MOMENT_HELP}`, momentArgument('--since'))
    .option('--until <when>', 'only begun earlier: as with --since', momentArgument('--until'))
    .option('--min-duration <duration>', 'only at least this long', duration)
    .option('--errors', 'only with an error')
    .option('--operations', OPERATIONS_HELP)
    .option('--slowest', 'the longest first')
    .option('--max <n>', 'at most so many', wholeNumber('--max', 1, PAGE_SIZE_MAX), 20)
    .option(TRACES_FLAG, TRACES_HELP)
    .action((_options: unknown, command: Command) => listTraces(command.optsWithGlobals<ListOptions>(), terminal));
  trace
    .command('show')
    .argument('[id]', 'id, or its beginning')
    .description('draw one trace: its spans, their durations, what each took by itself, and the slowest part')
    .addOption(new Option('--last', 'the newest one').conflicts('slowest'))
    .option('--slowest', 'the longest one')
    .option('--operations', 'of those that services began')
    .option('--attributes', 'with the attributes of spans and events')
    .option(TRACES_FLAG, TRACES_HELP)
    .action((id: string | undefined, _options: unknown, command: Command) =>
      showTrace(id, command.optsWithGlobals<ShowOptions>(), terminal),
    );
}
