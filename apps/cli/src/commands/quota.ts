/** `partita quota …`: how many bytes a second topics and clients may produce and consume. */
import type { Quota } from '@partita/protocol';
import { parseBytes } from '@partita/runtime';
import type { Command } from 'commander';
import { withClient } from '../connect.ts';
import type { GlobalOptions } from '../connect.ts';
import { UsageError } from '../exit-code.ts';
import { jsonLine } from '../output/json.ts';
import { table } from '../output/table.ts';
import type { Terminal } from '../terminal.ts';

interface WhoOptions extends GlobalOptions {
  readonly topic?: string;
  readonly client?: string;
  readonly default?: boolean;
  readonly dryRun?: boolean;
}

interface SetOptions extends WhoOptions {
  readonly produce?: bigint;
  readonly consume?: bigint;
}

const SET_HELP = `
A topic only: all its clients together. A client only: on all topics together. Both: that client on that topic. --default:
each client for which no other quota says anything. A request is held by its topic's quota and by the most specific of its
client's. What is beyond a quota waits for up to a second, then it is refused with QUOTA_EXCEEDED; readers only get slower.
The quota is set whole: a rate that is not named is removed.

Examples:
  partita quota set --topic flights --produce 10MiB --consume 20MiB
  partita quota set --client loader --produce 1MiB
  partita quota set --default --consume 50MiB --dry-run`;

export function addQuotaCommand(program: Command, terminal: Terminal): void {
  const quota = program.command('quota').description('set, list and remove byte rates of topics and clients');
  withWho(quota.command('set'))
    .description('set the quota of a topic, a client, a client on a topic, or each client')
    .option('--produce <bytes>', 'bytes a second that may be produced: 10MiB', rate('--produce'))
    .option('--consume <bytes>', 'bytes a second that may be consumed: 20MiB', rate('--consume'))
    .option('--dry-run', 'check everything and change nothing')
    .addHelpText('after', SET_HELP)
    .action((_options: unknown, command: Command) => setQuota(command.optsWithGlobals<SetOptions>(), terminal));
  quota
    .command('list')
    .description('list quotas by topic and client')
    .action((_options: unknown, command: Command) => listQuotas(command.optsWithGlobals(), terminal));
  withWho(quota.command('remove'))
    .description('remove a quota')
    .option('--dry-run', 'check everything and change nothing')
    .action((_options: unknown, command: Command) => removeQuota(command.optsWithGlobals<WhoOptions>(), terminal));
}

function withWho(command: Command): Command {
  return command
    .option('--topic <name>', 'the topic')
    .option('--client <id>', 'the client, as it names itself')
    .option('--default', 'each client without a quota of its own');
}

async function setQuota(options: SetOptions, terminal: Terminal): Promise<void> {
  const { produce, consume } = options;
  if (produce === undefined && consume === undefined) {
    throw new UsageError('nothing to set: name a rate with --produce or --consume');
  }
  const rates = { produceBytesPerSecond: produce, consumeBytesPerSecond: consume };
  await change({ ...who(options), ...rates }, options, terminal);
}

async function removeQuota(options: WhoOptions, terminal: Terminal): Promise<void> {
  await change(who(options), options, terminal);
}

async function change(
  quota: { readonly topic: string; readonly clientId: string },
  options: WhoOptions,
  terminal: Terminal,
): Promise<void> {
  const { dryRun = false } = options;
  const now = await withClient(options, terminal, ({ admin }) =>
    admin.updateQuota(quota, dryRun, { signal: terminal.interrupted }),
  );
  if (options.json === true) return terminal.line(jsonLine(view(now)));
  if (dryRun) terminal.note('nothing was changed; it would be so:');
  return terminal.line(quotaTable([now], terminal));
}

async function listQuotas(options: GlobalOptions, terminal: Terminal): Promise<void> {
  await withClient(options, terminal, async ({ admin }) => {
    const quotas: Quota[] = [];
    for await (const quota of admin.listQuotas()) {
      if (options.json === true) await terminal.line(jsonLine(view(quota)));
      else quotas.push(quota);
    }
    if (options.json !== true) await terminal.line(quotaTable(quotas, terminal));
  });
}

/** Whom the command is about; nobody by mistake. */
function who({ topic = '', client = '', default: isDefault = false }: WhoOptions) {
  const isNamed = topic !== '' || client !== '';
  if (isNamed === isDefault) throw new UsageError('name --topic, --client or both, or else --default');
  return { topic, clientId: client };
}

function view({ topic, clientId, produceBytesPerSecond, consumeBytesPerSecond }: Quota) {
  return { topic, clientId, produceBytesPerSecond, consumeBytesPerSecond };
}

function quotaTable(quotas: readonly Quota[], { colors }: Terminal): string {
  const shown = (rateOf: bigint | undefined) => (rateOf === undefined ? '-' : String(rateOf));
  const rows = quotas.map(({ topic, clientId, produceBytesPerSecond, consumeBytesPerSecond }) => [
    topic === '' ? 'any' : topic,
    clientId === '' ? (topic === '' ? 'each' : 'any') : clientId,
    shown(produceBytesPerSecond),
    shown(consumeBytesPerSecond),
  ]);
  return table(['TOPIC', 'CLIENT', 'PRODUCE B/S', 'CONSUME B/S'], rows, colors);
}

function rate(what: string): (text: string) => bigint {
  return (text) => {
    try {
      return BigInt(parseBytes(text.replace(/\/s$/, '')));
    } catch {
      throw new UsageError(`${what} is bytes a second, for example 10MiB, not "${text}"`);
    }
  };
}
