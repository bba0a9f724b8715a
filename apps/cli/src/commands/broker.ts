/** `partita broker …`: who stores the records, emptying one, forgetting one. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Admin } from '@partita/client';
import type { Command } from 'commander';
import { brokerId } from '../arguments.ts';
import { withClient } from '../connect.ts';
import type { GlobalOptions } from '../connect.ts';
import { UsageError } from '../exit-code.ts';
import { describeCluster } from '../output/cluster-json.ts';
import { jsonLine } from '../output/json.ts';
import { describeReassignment, mebibytes, movesTable, progressText } from '../output/reassignment-json.ts';
import { count, table } from '../output/table.ts';
import type { Terminal } from '../terminal.ts';

interface DrainOptions extends GlobalOptions {
  readonly leadersOnly?: boolean;
  readonly cancel?: boolean;
  readonly dryRun?: boolean;
  readonly wait: boolean;
}

const POLL_MS = 500;

const DRAIN_HELP = `
Replicas move one at a time, each copied before the old one goes, at most as fast as partita cluster settings --move-rate
says. A broker that is down can be emptied too: others copy from the partitions' leaders.

Examples:
  partita broker drain 3 --dry-run
  partita broker drain 3 && partita broker remove 3 --yes   (stop it in between)`;

export function addBrokerCommand(program: Command, terminal: Terminal): void {
  const broker = program.command('broker').description('list brokers, empty one, forget one');
  broker
    .command('list')
    .description('show brokers with what they hold')
    .action((_options: unknown, command: Command) => list(command.optsWithGlobals<GlobalOptions>(), terminal));
  broker
    .command('drain')
    .argument('<id>', 'broker', brokerId('<id>'))
    .description('move every replica and leader off a broker; it is given no new ones')
    .option('--leaders-only', 'only leaders: it keeps its replicas')
    .option('--cancel', 'end it; what has moved stays where it is')
    .option('--dry-run', 'show what would move')
    .option('--no-wait', 'do not wait until it is empty')
    .addHelpText('after', DRAIN_HELP)
    .action((id: number, _options: unknown, command: Command) =>
      drain(id, command.optsWithGlobals<DrainOptions>(), terminal),
    );
  broker
    .command('remove')
    .argument('<id>', 'broker', brokerId('<id>'))
    .description('forget a broker that is down and empty; should it start again, it is a new one')
    .option('--yes', 'required: the cluster does not wait for it any more')
    .action((id: number, _options: unknown, command: Command) =>
      remove(id, command.optsWithGlobals<GlobalOptions & { readonly yes?: boolean }>(), terminal),
    );
}

interface Marks {
  readonly draining: readonly string[];
  readonly leaderless: readonly string[];
}

async function marksOf(admin: Admin, terminal: Terminal): Promise<Marks> {
  const settings = await admin.updateClusterSettings({}, { signal: terminal.interrupted });
  const ids = (name: string) => settings.find((setting) => setting.name === name)?.value.split(',') ?? [];
  return { draining: ids('draining_broker_ids'), leaderless: ids('leaderless_broker_ids') };
}

async function list(options: GlobalOptions, terminal: Terminal): Promise<void> {
  const brokers = await withClient(options, terminal, async ({ admin }) => {
    const { draining, leaderless } = await marksOf(admin, terminal);
    const cluster = describeCluster(await admin.describeCluster(false, { signal: terminal.interrupted }));
    return cluster.brokers.map((broker) => ({
      ...broker,
      draining: draining.includes(String(broker.brokerId)),
      leaderless: leaderless.includes(String(broker.brokerId)),
    }));
  });
  if (options.json === true) {
    for (const broker of brokers) await terminal.line(jsonLine(broker));
    return;
  }
  const rows = brokers.map((broker) => [
    String(broker.brokerId),
    broker.address,
    broker.rack === '' ? '-' : broker.rack,
    `${broker.state}${broker.draining ? ', being emptied' : ''}${broker.leaderless ? ', leads nothing' : ''}`,
    count(broker.replicaCount),
    count(broker.leaderCount),
    mebibytes(broker.logBytes),
    mebibytes(broker.freeBytes),
    broker.version,
  ]);
  const heads = ['BROKER', 'ADDRESS', 'RACK', 'STATE', 'REPLICAS', 'LEADERS', 'LOG MIB', 'FREE MIB', 'VERSION'];
  await terminal.line(table(heads, rows, terminal.colors));
}

async function drain(id: number, options: DrainOptions, terminal: Terminal): Promise<void> {
  const { leadersOnly = false, cancel = false, dryRun = false } = options;
  await withClient(options, terminal, async ({ admin }) => {
    const wanted = { replicas: !leadersOnly, cancel, validateOnly: dryRun };
    const answer = await admin.drainBroker(id, wanted, { signal: terminal.interrupted });
    const view = answer.reassignment === undefined ? undefined : describeReassignment(answer.reassignment);
    const moves = view?.moves.length ?? 0;
    const leaders = answer.leaderMoveCount;
    const isDone = cancel || dryRun || !options.wait;
    if (options.json === true && isDone)
      return terminal.line(jsonLine({ brokerId: id, leaders, reassignment: view, draining: !cancel && !dryRun }));
    if (cancel) return terminal.line(dryRun ? `would end the draining of broker ${id}` : `broker ${id} is used again`);
    terminal.note(`${dryRun ? 'would move' : 'moving'} ${moves} replicas and ${leaders} leaders off broker ${id}`);
    if (dryRun && view !== undefined && moves > 0) return terminal.line(movesTable(view, terminal.colors));
    if (!isDone) await untilEmpty(admin, id, options, terminal, view?.reassignmentId);
  });
}

/** Polls until nothing is left, whoever moves it: moves that failed are begun again by the cluster. */
async function untilEmpty(
  admin: Admin,
  id: number,
  { json, leadersOnly = false }: DrainOptions,
  terminal: Terminal,
  reassignmentId: string | undefined,
): Promise<void> {
  const call = { signal: terminal.interrupted };
  const tellHow = () => terminal.note(`it goes on; look: partita broker list; end it: partita broker drain ${id} --cancel`);
  terminal.interrupted.addEventListener('abort', tellHow, { once: true });
  try {
    for (;;) {
      const { brokers } = await admin.describeCluster(false, call);
      const { replicaCount = 0, leaderCount = 0 } = brokers.find(({ broker }) => broker?.brokerId === id) ?? {};
      if (leaderCount === 0 && (leadersOnly || replicaCount === 0)) break;
      const moved =
        reassignmentId === undefined
          ? ''
          : `; ${progressText(describeReassignment(await admin.getReassignment(reassignmentId, call)))}`;
      terminal.progress(`${count(replicaCount)} replicas and ${count(leaderCount)} leaders left${moved}`);
      await sleep(POLL_MS, undefined, call);
    }
  } finally {
    terminal.interrupted.removeEventListener('abort', tellHow);
  }
  if (json === true) return terminal.line(jsonLine({ brokerId: id, empty: !leadersOnly, leaders: 0 }));
  return terminal.line(leadersOnly ? `broker ${id} leads nothing` : `broker ${id} is empty`);
}

async function remove(
  id: number,
  options: GlobalOptions & { readonly yes?: boolean },
  terminal: Terminal,
): Promise<void> {
  if (options.yes !== true) throw new UsageError(`to forget broker ${id}: partita broker remove ${id} --yes`);
  await withClient(options, terminal, ({ admin }) => admin.removeBroker(id, { signal: terminal.interrupted }));
  return terminal.line(options.json === true ? jsonLine({ brokerId: id, removed: true }) : `broker ${id} is forgotten`);
}
