/** The commands and options of `partita`, and what their failures become. */
import { Command, CommanderError } from 'commander';
import { ClientError } from '@partita/client';
import { PartitaError } from '@partita/domain';
import { PRODUCT_VERSION } from '@partita/runtime';
import { addBrokerCommand } from './commands/broker.ts';
import { addClusterCommand } from './commands/cluster.ts';
import { addConsumeCommand } from './commands/consume.ts';
import { addGroupCommand } from './commands/group.ts';
import { addLogCommand } from './commands/log.ts';
import { addLogLevelCommand } from './commands/log-level.ts';
import { addPartitionCommand } from './commands/partition.ts';
import { addProduceCommand } from './commands/produce.ts';
import { addQuotaCommand } from './commands/quota.ts';
import { addTopicCommand } from './commands/topic.ts';
import { addTraceCommand } from './commands/trace.ts';
import { EXIT, exitCodeOf, NotFoundError, UsageError } from './exit-code.ts';
import { jsonLine } from './output/json.ts';
import type { Terminal } from './terminal.ts';

const HELP = `
The cluster is found by --server, else PARTITA_SERVER, else the file cluster.json that \`npm start\` keeps in its home.

Examples:
  partita topic create flights --partitions 6
  echo '{"key": "BOS", "value": "delayed"}' | partita produce flights
  partita consume flights --group billing

Exit codes: 0 done, 1 failed, 2 usage, 3 no cluster answers, 4 not found, 5 time-out or fewer than --max, 130 interrupted.`;

/** Runs one command; the exit code. Never rejects. */
export async function runCommand(args: readonly string[], terminal: Terminal): Promise<number> {
  const program = new Command('partita');
  let code: number = EXIT.ok;
  program
    .description('a partitioned, replicated, durable event log over gRPC')
    .version(PRODUCT_VERSION)
    .option('--server <addresses>', 'host:port of any service of the cluster, several by comma')
    .option('--home <directory>', 'home of a cluster started here (default: PARTITA_HOME, else .partita)')
    .option('--json', 'print JSON, one object a line')
    .addHelpText('after', HELP)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void terminal.line(text.trimEnd()),
      writeErr: (text) => terminal.note(text.trimEnd()),
    });
  addTopicCommand(program, terminal);
  addProduceCommand(program, terminal, (result) => (code = result));
  addConsumeCommand(program, terminal, (result) => (code = result));
  addClusterCommand(program, terminal, (result) => (code = result));
  addBrokerCommand(program, terminal);
  addPartitionCommand(program, terminal, (result) => (code = result));
  addGroupCommand(program, terminal, (result) => (code = result));
  addQuotaCommand(program, terminal);
  addTraceCommand(program, terminal);
  addLogLevelCommand(program, terminal, (result) => (code = result));
  addLogCommand(program, terminal, (result) => (code = result));
  try {
    await program.parseAsync([...args], { from: 'user' });
  } catch (error) {
    code = failed(error, args.includes('--json'), terminal);
  }
  return code;
}

function failed(error: unknown, json: boolean, terminal: Terminal): number {
  // Commander has printed its own errors, and help and version are none.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  if (terminal.interrupted.aborted) return EXIT.interrupted;
  terminal.note(json ? jsonLine({ error: describe(error) }) : plain(error));
  return exitCodeOf(error);
}

function plain(error: unknown): string {
  if (error instanceof PartitaError) return `error: ${error.message} (${error.reason})`;
  return `error: ${error instanceof Error ? error.message : String(error)}`;
}

function describe(error: unknown): Record<string, unknown> {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof UsageError) return { reason: 'USAGE', message };
  if (error instanceof NotFoundError) return { reason: 'NOT_FOUND', message };
  if (!(error instanceof PartitaError)) return { message };
  const { reason, metadata } = error;
  return {
    reason,
    message,
    metadata,
    ...(error instanceof ClientError ? { outcome: error.outcome, retryable: error.retryable } : {}),
  };
}
