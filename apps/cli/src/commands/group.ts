/** `partita group …`: consumer groups, their members, lag and offsets. */
import type { Command } from 'commander';
import { duration } from '../arguments.ts';
import { withClient } from '../connect.ts';
import type { GlobalOptions } from '../connect.ts';
import { UsageError } from '../exit-code.ts';
import { jsonLine } from '../output/json.ts';
import { table } from '../output/table.ts';
import type { Terminal } from '../terminal.ts';
import { describeGroup, summary, WATCH_MS_DEFAULT, watchGroup } from './group-describe.ts';
import { addResetOffsetsCommand } from './reset-offsets.ts';

interface DescribeOptions extends GlobalOptions {
  readonly watch?: boolean;
  readonly interval?: number;
}

const DESCRIBE_EXAMPLES = `
LAG counts offsets between the committed one and the end, BYTES what they take in the log (about), AGE is how long the
first of them has waited. A dash: nothing committed, or the leader does not answer.

Examples:
  partita group describe billing
  partita group describe billing --watch --interval 5s
  partita group describe billing --json`;

/** `exit` is told the exit code of a command that ended without an error. */
export function addGroupCommand(program: Command, terminal: Terminal, exit: (code: number) => void): void {
  const group = program.command('group').description('list, describe, reset and delete consumer groups');
  group
    .command('list')
    .description('list groups by id')
    .action((_options: unknown, command: Command) => listGroups(command.optsWithGlobals(), terminal));
  group
    .command('describe')
    .argument('<id>')
    .description('show members, what they hold, committed offsets and lag')
    .option('--watch', 'show it again and again until Ctrl-C')
    .option('--interval <duration>', `how often with --watch (default: ${WATCH_MS_DEFAULT / 1000}s)`, duration)
    .addHelpText('after', DESCRIBE_EXAMPLES)
    .action(async (id: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<DescribeOptions>();
      if (options.watch === true) return exit(await watchGroup(id, options, terminal));
      if (options.interval !== undefined) throw new UsageError('--interval goes with --watch');
      return describeGroup(id, options, terminal);
    });
  addResetOffsetsCommand(group, terminal);
  group
    .command('delete')
    .argument('<id>')
    .description('delete a group without members, with its offsets')
    .option('--yes', 'required: the offsets are gone for good')
    .action((id: string, _options: unknown, command: Command) => deleteGroup(id, command.optsWithGlobals(), terminal));
}

async function listGroups(options: GlobalOptions, terminal: Terminal): Promise<void> {
  await withClient(options, terminal, async (client) => {
    const rows: string[][] = [];
    for await (const group of client.admin.listGroups()) {
      const { id, state, memberCount, epoch } = summary(group);
      if (options.json === true) await terminal.line(jsonLine(summary(group)));
      else rows.push([id, state, String(memberCount), String(epoch)]);
    }
    if (options.json === true) return;
    if (rows.length === 0) terminal.note('no groups; one begins with: partita consume TOPIC --group NAME');
    else await terminal.line(table(['GROUP', 'STATE', 'MEMBERS', 'EPOCH'], rows, terminal.colors));
  });
}

async function deleteGroup(
  id: string,
  options: GlobalOptions & { readonly yes?: boolean },
  terminal: Terminal,
): Promise<void> {
  if (options.yes !== true)
    throw new UsageError(
      `this deletes the offsets of group ${id} for good; look with group describe, do it with --yes`,
    );
  await withClient(options, terminal, ({ admin }) => admin.deleteGroup(id, { signal: terminal.interrupted }));
  if (options.json === true) return terminal.line(jsonLine({ group: id, deleted: true }));
  return terminal.line(`deleted group ${id}`);
}
