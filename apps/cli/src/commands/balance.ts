/** `partita cluster rebalance` and `settings`: how replicas and leaders are spread, and whether the cluster sees to it itself. */
import { parseBytes } from '@partita/runtime';
import type { Command } from 'commander';
import { oneOf } from '../arguments.ts';
import { withClient } from '../connect.ts';
import type { GlobalOptions } from '../connect.ts';
import { EXIT, UsageError } from '../exit-code.ts';
import { followReassignment } from '../follow-reassignment.ts';
import { jsonLine } from '../output/json.ts';
import { describeReassignment, mebibytes, movesTable } from '../output/reassignment-json.ts';
import { table } from '../output/table.ts';
import { sourceOf } from '../output/topic-json.ts';
import type { Terminal } from '../terminal.ts';

interface RebalanceOptions extends GlobalOptions {
  readonly dryRun?: boolean;
  readonly wait: boolean;
}

interface SettingsOptions extends GlobalOptions {
  readonly autoBalance?: 'on' | 'off';
  readonly moveRate?: bigint;
}

const SETTINGS_HELP = `
Without options the settings are shown. With auto-balance on, replicas and leaders move by themselves, one replica at a time,
after a broker has joined or gone for good, until all brokers have as much as the others.

Example:
  partita cluster settings --auto-balance off --move-rate 64MiB`;

export function addBalanceCommands(cluster: Command, terminal: Terminal, exit: (code: number) => void): void {
  cluster
    .command('rebalance')
    .description('move replicas and leaders until all brokers have as many, give or take one')
    .option('--dry-run', 'show what would move')
    .option('--no-wait', 'print the id of the reassignment and do not wait for it')
    .action((_options: unknown, command: Command) =>
      rebalance(command.optsWithGlobals<RebalanceOptions>(), terminal, exit),
    );
  cluster
    .command('settings')
    .description('show or change the settings of the cluster')
    .option('--auto-balance <on|off>', 'move replicas and leaders without being asked', oneOf('--auto-balance', ['on', 'off']))
    .option('--move-rate <bytes>', 'bytes a second that a broker sends to replicas that are being made: 32MiB', rate)
    .addHelpText('after', SETTINGS_HELP)
    .action((_options: unknown, command: Command) => settings(command.optsWithGlobals<SettingsOptions>(), terminal));
}

async function rebalance(options: RebalanceOptions, terminal: Terminal, exit: (code: number) => void): Promise<void> {
  const { dryRun = false } = options;
  await withClient(options, terminal, async ({ admin }) => {
    const begun = await admin.rebalanceCluster(dryRun, { signal: terminal.interrupted });
    if (begun.reassignmentId !== '')
      return (await followReassignment(admin, begun, options, terminal)) || exit(EXIT.failed);
    const view = describeReassignment(begun);
    if (options.json === true) return terminal.line(jsonLine(view));
    if (view.moves.length === 0) return terminal.line('nothing to move: brokers have as much as each other');
    const leaders = view.moves.filter(({ fromBrokerId, toBrokerId }) => fromBrokerId === toBrokerId).length;
    const replicas = view.moves.length - leaders;
    terminal.note(`would move ${replicas} replicas, ${mebibytes(view.totalBytes)} MiB, and ${leaders} more leaders`);
    return terminal.line(movesTable(view, terminal.colors));
  });
}

async function settings(options: SettingsOptions, terminal: Terminal): Promise<void> {
  const { autoBalance, moveRate } = options;
  const change = {
    ...(autoBalance === undefined ? {} : { autoBalance: autoBalance === 'on' }),
    ...(moveRate === undefined ? {} : { moveBytesPerSecond: moveRate }),
  };
  const shown = await withClient(options, terminal, ({ admin }) =>
    admin.updateClusterSettings(change, { signal: terminal.interrupted }),
  );
  if (options.json === true) {
    const view = shown.map(({ name, value, source }) => [name, { value, source: sourceOf(source) }] as const);
    return terminal.line(jsonLine(Object.fromEntries(view)));
  }
  const rows = shown.map(({ name, value, source }) => [name, value === '' ? 'none' : value, sourceOf(source)]);
  return terminal.line(table(['SETTING', 'VALUE', 'SOURCE'], rows, terminal.colors));
}

function rate(text: string): bigint {
  try {
    return BigInt(parseBytes(text.replace(/\/s$/, '')));
  } catch {
    throw new UsageError(`--move-rate is bytes a second, for example 32MiB, not "${text}"`);
  }
}
