/** `partita partition …`: where replicas are; who leads a partition, by wish, and with possible loss when nothing else is left; who writes it. */
import { PARTITION_COUNT_MAX } from '@partita/domain';
import type { ElectionResult } from '@partita/protocol';
import type { Command } from 'commander';
import { brokerId, wholeNumber } from '../arguments.ts';
import { withClient } from '../connect.ts';
import type { GlobalOptions } from '../connect.ts';
import { EXIT, UsageError } from '../exit-code.ts';
import { jsonLine } from '../output/json.ts';
import { table } from '../output/table.ts';
import type { Terminal } from '../terminal.ts';
import { addMoveCommand } from './move.ts';
import { addProducersCommand } from './producers.ts';

interface ElectOptions extends GlobalOptions {
  readonly broker?: number;
  readonly allPreferred?: boolean;
}

interface LossOptions extends GlobalOptions {
  readonly acceptDataLoss?: boolean;
  readonly reason?: string;
  readonly yes?: boolean;
}

const LOSS_HELP = `
Records that were acknowledged may be lost. The partition shows as lossy until its next leader, and the audit trail keeps
who did it and why.`;

export function addPartitionCommand(program: Command, terminal: Terminal, exit: (code: number) => void): void {
  const partition = program.command('partition').description('move replicas; elect leaders, also with possible loss; list producers');
  partition
    .command('elect')
    .argument('[topic]')
    .argument('[partition]', 'number of the partition', partitionNumber)
    .description('elect a leader among the replicas with the best log')
    .option('--broker <id>', 'who should lead (default: the preferred replica)', broker)
    .option('--all-preferred', 'instead of one partition: wherever the preferred replica does not lead')
    .addHelpText('after', '\nExample:\n  partita partition elect flights 3 --broker 2')
    .action((topic: string | undefined, number: number | undefined, _options: unknown, command: Command) =>
      elect(topic, number, command.optsWithGlobals<ElectOptions>(), terminal, exit),
    );
  lossCommand(partition, 'force-leader', 'make a replica leader that may lack committed records')
    .requiredOption('--broker <id>', 'who shall lead', broker)
    .action((topic: string, number: number, _options: unknown, command: Command) =>
      force(topic, number, command.optsWithGlobals<LossOptions & { readonly broker: number }>(), terminal),
    );
  lossCommand(partition, 'recover', 'elect the best log when all replicas are suspect; all have to answer').action(
    (topic: string, number: number, _options: unknown, command: Command) =>
      recover(topic, number, command.optsWithGlobals<LossOptions>(), terminal),
  );
  addMoveCommand(partition, terminal, exit);
  addProducersCommand(partition, terminal, partitionNumber);
}

function lossCommand(partition: Command, name: string, description: string): Command {
  return partition
    .command(name)
    .argument('<topic>')
    .argument('<partition>', 'number of the partition', partitionNumber)
    .description(description)
    .option('--accept-data-loss', 'required: committed records may be lost')
    .option('--reason <text>', 'required: why, for the audit trail')
    .option('--yes', 'required: there is no way back')
    .addHelpText('after', LOSS_HELP);
}

const partitionNumber = wholeNumber('<partition>', 0, PARTITION_COUNT_MAX - 1);
const broker = brokerId('--broker');

async function elect(
  topic: string | undefined,
  partition: number | undefined,
  options: ElectOptions,
  terminal: Terminal,
  exit: (code: number) => void,
): Promise<void> {
  const one = topic !== undefined && partition !== undefined;
  if (one === (options.allPreferred === true) || (topic !== undefined && !one))
    throw new UsageError('name one partition: partita partition elect TOPIC PARTITION, or --all-preferred');
  if (!one && options.broker !== undefined) throw new UsageError('--broker is for one partition');
  const refs = one ? [{ topic, partition }] : [];
  const results = await withClient(options, terminal, ({ admin }) =>
    admin.electLeaders(refs, options.broker, { signal: terminal.interrupted }),
  );
  if (results.some(({ errorReason }) => errorReason !== '')) exit(EXIT.failed);
  if (options.json === true) {
    for (const result of results) await terminal.line(jsonLine(view(result)));
    return;
  }
  if (results.length === 0) return terminal.line('the preferred replicas lead everywhere');
  const rows = results.map((result) => [
    place(result),
    result.leaderId === 0 ? 'none' : String(result.leaderId),
    String(result.leaderEpoch),
    result.errorReason,
  ]);
  return terminal.line(table(['PARTITION', 'LEADER', 'EPOCH', 'NOT AS WISHED'], rows, terminal.colors));
}

async function force(
  topic: string,
  partition: number,
  options: LossOptions & { readonly broker: number },
  terminal: Terminal,
): Promise<void> {
  const reason = consent(`${topic} ${partition} --broker ${options.broker}`, 'force-leader', options);
  const result = await withClient(options, terminal, ({ admin }) =>
    admin.forceLeader({ topic, partition }, options.broker, reason, { signal: terminal.interrupted }),
  );
  return tell(result, options, terminal);
}

async function recover(topic: string, partition: number, options: LossOptions, terminal: Terminal): Promise<void> {
  const reason = consent(`${topic} ${partition}`, 'recover', options);
  const result = await withClient(options, terminal, ({ admin }) =>
    admin.recoverBestLog({ topic, partition }, reason, { signal: terminal.interrupted }),
  );
  return tell(result, options, terminal);
}

/** The reason, or how to say all that is needed. */
function consent(what: string, command: string, { acceptDataLoss, reason, yes }: LossOptions): string {
  if (acceptDataLoss === true && yes === true && reason !== undefined && reason.trim() !== '') return reason;
  throw new UsageError(
    `this may lose committed records; to do it: partita partition ${command} ${what} --accept-data-loss --reason TEXT --yes`,
  );
}

function tell(result: ElectionResult, { json }: GlobalOptions, terminal: Terminal): Promise<void> {
  if (json === true) return terminal.line(jsonLine(view(result)));
  return terminal.line(`broker ${result.leaderId} leads ${place(result)} in epoch ${result.leaderEpoch}`);
}

function view({ partition, leaderId, leaderEpoch, errorReason }: ElectionResult) {
  const reason = errorReason === '' ? undefined : errorReason;
  return { topic: partition?.topic, partition: partition?.partition, leader: leaderId, leaderEpoch, reason };
}

function place({ partition }: ElectionResult): string {
  return `${partition?.topic ?? ''}/${partition?.partition ?? 0}`;
}
