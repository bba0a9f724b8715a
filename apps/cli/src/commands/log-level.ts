/** `partita log-level`: what the services write to their logs, shown and changed while they run. */
import { asPartitaError, PartitaError } from '@partita/domain';
import { ClusterServiceService, LogLevel, ProcessServiceService, ServiceKind } from '@partita/protocol';
import type { GetClusterResponse } from '@partita/protocol';
import { callUnary, ChannelPool } from '@partita/rpc/client';
import { LOG_LEVELS } from '@partita/runtime';
import type { Command } from 'commander';
import { findServers } from '../connect.ts';
import type { GlobalOptions } from '../connect.ts';
import { EXIT, exitCodeOf, NotFoundError, UsageError } from '../exit-code.ts';
import { enumWord, jsonLine } from '../output/json.ts';
import { table } from '../output/table.ts';
import type { Terminal } from '../terminal.ts';

interface LevelOptions extends GlobalOptions {
  readonly service?: string;
}

/** A process, and where it answers. */
interface Process {
  readonly service: string;
  readonly address: string;
}

/** What came of one. */
interface Outcome extends Process {
  readonly level?: string;
  readonly previous?: string;
  readonly error?: { readonly reason: string; readonly message: string };
}

const SERVICES = ['coordinator', 'broker', 'gateway', 'consumer-group'];
const DEADLINE_MS = 5000;
const HELP = `
Without a level the present ones are shown. A change lasts until the process ends, or reads its configuration again (SIGHUP).
It is made from the machine of the process, or with --server through its listener for peers, if it has one.

Examples:
  partita log-level
  partita log-level debug --service broker
  partita --server 127.0.0.1:7000 log-level info`;

export function addLogLevelCommand(program: Command, terminal: Terminal, setCode: (code: number) => void): void {
  program
    .command('log-level')
    .argument('[level]', `new level: ${LOG_LEVELS.join(', ')}`)
    .description(
      'show or change the log level of running services: of all, of one kind, or of those that --server names',
    )
    .option('--service <name>', `only services of this kind: ${SERVICES.join(', ')}`)
    .addHelpText('after', HELP)
    .action(async (level: string | undefined, _options: unknown, command: Command) =>
      setCode(await logLevel(level, command.optsWithGlobals<LevelOptions>(), terminal)),
    );
}

async function logLevel(text: string | undefined, options: LevelOptions, terminal: Terminal): Promise<number> {
  const level = text === undefined ? undefined : levelOf(text);
  if (options.service !== undefined && !SERVICES.includes(options.service))
    throw new UsageError(`--service: "${options.service}" is none of ${SERVICES.join(', ')}`);
  const pool = new ChannelPool({ clientId: 'partita-cli', tracing: 'off' });
  const outcomes: Outcome[] = [];
  let code: number = EXIT.ok;
  try {
    for (const process of await processesOf(options, pool, terminal)) {
      try {
        outcomes.push(await ask(pool, process, level, terminal.interrupted));
      } catch (thrown) {
        terminal.interrupted.throwIfAborted();
        const { reason, message } = asPartitaError(thrown);
        code = exitCodeOf(thrown);
        outcomes.push({ ...process, error: { reason, message } });
      }
    }
  } finally {
    pool.close();
  }
  await print(outcomes, options, terminal);
  return code;
}

function levelOf(text: string): LogLevel {
  const index = (LOG_LEVELS as readonly string[]).indexOf(text);
  if (index < 0) throw new UsageError(`"${text}" is no log level: ${LOG_LEVELS.join(', ')}`);
  const key = `LOG_LEVEL_${text.toUpperCase()}`;
  return LogLevel[key as keyof typeof LogLevel];
}

/** Those that --server names, unless a kind is asked for; else what the cluster has. */
async function processesOf(options: LevelOptions, pool: ChannelPool, terminal: Terminal): Promise<Process[]> {
  if (options.server !== undefined && options.service === undefined)
    return findServers(options, terminal.env).servers.map((address) => ({ service: '', address }));
  const { endpoints } = await clusterOf(options, pool, terminal);
  const all = endpoints.map(({ service, address }) => ({
    service: enumWord(ServiceKind, 'SERVICE_KIND_', service).replace('_', '-'),
    address,
  }));
  const wanted = all.filter(({ service }) => options.service === undefined || service === options.service);
  if (wanted.length === 0) throw new NotFoundError(`the cluster has no ${options.service ?? 'service'} at the moment`);
  return wanted;
}

/** What the first that answers knows: any service will do, so that this works without a coordinator. */
async function clusterOf(options: LevelOptions, pool: ChannelPool, terminal: Terminal): Promise<GetClusterResponse> {
  const { servers, source } = findServers(options, terminal.env);
  let last: unknown;
  for (const server of servers) {
    try {
      const call = { deadlineMs: DEADLINE_MS, signal: terminal.interrupted };
      return await callUnary(pool.client(server), ClusterServiceService.getCluster, {}, call);
    } catch (thrown) {
      terminal.interrupted.throwIfAborted();
      last = thrown;
    }
  }
  const message = `no service of the cluster answers at ${servers.join(', ')} (from ${source})`;
  throw new PartitaError('SERVICE_UNREACHABLE', message, { address: servers.join() }, { cause: last });
}

async function ask(
  pool: ChannelPool,
  process: Process,
  level: LogLevel | undefined,
  signal: AbortSignal,
): Promise<Outcome> {
  const client = pool.client(process.address);
  const call = { deadlineMs: DEADLINE_MS, signal };
  if (level === undefined) {
    const present = await callUnary(client, ProcessServiceService.getLogLevel, {}, call);
    return { ...process, level: word(present.level) };
  }
  const { previous } = await callUnary(client, ProcessServiceService.setLogLevel, { level }, call);
  return { ...process, level: word(level), previous: word(previous) };
}

async function print(outcomes: readonly Outcome[], { json }: LevelOptions, terminal: Terminal): Promise<void> {
  if (json === true) {
    for (const outcome of outcomes) await terminal.line(jsonLine({ ...outcome }));
    return;
  }
  const rows = outcomes.map(({ service, address, level, previous, error }) => [
    service === '' ? '-' : service,
    address,
    level ?? `error: ${error?.message ?? ''} (${error?.reason ?? ''})`,
    previous === undefined || previous === level ? '' : `was ${previous}`,
  ]);
  await terminal.line(table(['SERVICE', 'ADDRESS', 'LEVEL', ''], rows, terminal.colors));
}

function word(level: LogLevel): string {
  return enumWord(LogLevel, 'LOG_LEVEL_', level);
}
