/** `partita partition move`: replicas from one broker to another, and what has become of such moves. */
import { PARTITION_COUNT_MAX } from '@partita/domain';
import type { PartitionRef } from '@partita/protocol';
import type { Command } from 'commander';
import { brokerId } from '../arguments.ts';
import { withClient } from '../connect.ts';
import type { GlobalOptions } from '../connect.ts';
import { EXIT, UsageError } from '../exit-code.ts';
import { followReassignment } from '../follow-reassignment.ts';
import { jsonLine } from '../output/json.ts';
import { describeReassignment, mebibytes, movesTable } from '../output/reassignment-json.ts';
import { table } from '../output/table.ts';
import type { Terminal } from '../terminal.ts';

interface MoveOptions extends GlobalOptions {
  readonly from?: number;
  readonly to?: number;
  readonly dryRun?: boolean;
  readonly wait: boolean;
}

const HELP = `
Records flow meanwhile: the new replica copies first and counts once it has everything, then the old one goes. To make a
broker the preferred leader of a partition give the same broker twice.

Examples:
  partita partition move flights/3 flights/4 --from 1 --to 4
  partita partition move list`;

export function addMoveCommand(partition: Command, terminal: Terminal, exit: (code: number) => void): void {
  const move = partition
    .command('move')
    .argument('[places...]', 'partitions, each as topic/number')
    .description('move replicas from one broker to another; list, show and cancel moves')
    .option('--from <id>', 'broker that gives its replica up', brokerId('--from'))
    .option('--to <id>', 'broker that gets one', brokerId('--to'))
    .option('--dry-run', 'check everything and move nothing')
    .option('--no-wait', 'print the id of the reassignment and do not wait for it')
    .addHelpText('after', HELP)
    .action((places: readonly string[], _options: unknown, command: Command) =>
      moveReplicas(places, command.optsWithGlobals<MoveOptions>(), terminal, exit),
    );
  move
    .command('list')
    .description('list moves that were asked for, newest first')
    .action((_options: unknown, command: Command) => list(command.optsWithGlobals<GlobalOptions>(), terminal));
  move
    .command('show')
    .argument('<id>', 'as list names it')
    .description('show how far the moves of a reassignment are')
    .action((id: string, _options: unknown, command: Command) =>
      show(id, command.optsWithGlobals<GlobalOptions>(), terminal),
    );
  move
    .command('cancel')
    .argument('<id>', 'as list names it')
    .description('end a reassignment after the step under way; what has moved stays where it is')
    .action((id: string, _options: unknown, command: Command) =>
      cancel(id, command.optsWithGlobals<GlobalOptions>(), terminal),
    );
}

async function moveReplicas(
  places: readonly string[],
  options: MoveOptions,
  terminal: Terminal,
  exit: (code: number) => void,
): Promise<void> {
  const { from: fromBrokerId, to: toBrokerId, dryRun = false } = options;
  if (places.length === 0 || fromBrokerId === undefined || toBrokerId === undefined)
    throw new UsageError('say what moves from where to where: partita partition move TOPIC/PARTITION --from ID --to ID');
  const moves = places.map((place) => ({ partition: partitionRef(place), fromBrokerId, toBrokerId }));
  await withClient(options, terminal, async ({ admin }) => {
    const begun = await admin.createReassignment(moves, dryRun, { signal: terminal.interrupted });
    if (!dryRun) return (await followReassignment(admin, begun, options, terminal)) || exit(EXIT.failed);
    const view = describeReassignment(begun);
    if (options.json === true) return terminal.line(jsonLine(view));
    terminal.note(`would move ${view.moves.length} replicas, ${mebibytes(view.totalBytes)} MiB`);
    return terminal.line(movesTable(view, terminal.colors));
  });
}

function partitionRef(place: string): PartitionRef {
  const slash = place.lastIndexOf('/');
  const [topic, number] = [place.slice(0, slash), place.slice(slash + 1)];
  if (slash > 0 && /^\d{1,9}$/.test(number) && Number(number) < PARTITION_COUNT_MAX)
    return { topic, partition: Number(number) };
  throw new UsageError(`"${place}" is no partition: write topic/number, for example flights/3`);
}

async function list(options: GlobalOptions, terminal: Terminal): Promise<void> {
  await withClient(options, terminal, async ({ admin }) => {
    const rows: string[][] = [];
    for await (const reassignment of admin.listReassignments()) {
      const view = describeReassignment(reassignment);
      if (options.json === true) await terminal.line(jsonLine(view));
      const ended = view.moves.filter(({ state }) => state !== 'pending' && state !== 'running').length;
      rows.push([view.reassignmentId ?? '', view.createTime ?? '', view.state, `${ended}/${view.moves.length}`]);
    }
    if (options.json === true) return;
    if (rows.length === 0) return terminal.note('nothing was moved yet');
    return terminal.line(table(['REASSIGNMENT', 'BEGAN', 'STATE', 'MOVES'], rows, terminal.colors));
  });
}

async function show(id: string, options: GlobalOptions, terminal: Terminal): Promise<void> {
  const view = await withClient(options, terminal, async ({ admin }) =>
    describeReassignment(await admin.getReassignment(id, { signal: terminal.interrupted })),
  );
  if (options.json === true) return terminal.line(jsonLine(view));
  terminal.note(`${view.state}: ${mebibytes(view.copiedBytes)} of ${mebibytes(view.totalBytes)} MiB copied`);
  return terminal.line(movesTable(view, terminal.colors));
}

async function cancel(id: string, options: GlobalOptions, terminal: Terminal): Promise<void> {
  const view = await withClient(options, terminal, async ({ admin }) =>
    describeReassignment(await admin.cancelReassignment(id, { signal: terminal.interrupted })),
  );
  if (options.json === true) return terminal.line(jsonLine(view));
  return terminal.line(movesTable(view, terminal.colors));
}
