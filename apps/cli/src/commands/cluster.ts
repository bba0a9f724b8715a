/** `partita cluster …`: services, brokers and their load, partitions and their replicas, and who changed what. */
import type { Command } from 'commander';
import { wholeNumber } from '../arguments.ts';
import { withClient } from '../connect.ts';
import type { GlobalOptions } from '../connect.ts';
import { describeCluster as viewOf } from '../output/cluster-json.ts';
import type { PartitionView } from '../output/cluster-json.ts';
import { jsonLine, timeText } from '../output/json.ts';
import { mebibytes } from '../output/reassignment-json.ts';
import { count, fields, table } from '../output/table.ts';
import type { Terminal } from '../terminal.ts';
import { addBalanceCommands } from './balance.ts';
import { addDoctorCommand } from './doctor.ts';

interface DescribeOptions extends GlobalOptions {
  readonly underReplicated?: boolean;
  readonly offline?: boolean;
}

/** More are shown only when a filter asks for them: their description is some megabytes. */
const PARTITIONS_SHOWN_COUNT_MAX = 1000;
const AUDIT_COUNT_DEFAULT = 50;
const AUDIT_COUNT_MAX = 10_000;

const DESCRIBE_HELP = `
LAG of a partition is one entry per replica behind its leader: broker:records, since when, and ! for a suspect replica.

Example:
  partita cluster describe --under-replicated`;

export function addClusterCommand(program: Command, terminal: Terminal, exit: (code: number) => void): void {
  const cluster = program.command('cluster').description('describe, check and balance the cluster; what was changed by whom');
  cluster
    .command('describe')
    .description('show services, brokers, and partitions with leaders, in-sync sets and lags')
    .option('--under-replicated', 'only partitions with fewer replicas in sync than they have')
    .option('--offline', 'only partitions without a leader')
    .addHelpText('after', DESCRIBE_HELP)
    .action((_options: unknown, command: Command) =>
      describeCluster(command.optsWithGlobals<DescribeOptions>(), terminal),
    );
  cluster
    .command('audit')
    .description('show what was changed by whom, newest first')
    .option('--max <n>', 'entries to show', wholeNumber('--max', 1, AUDIT_COUNT_MAX), AUDIT_COUNT_DEFAULT)
    .action((_options: unknown, command: Command) =>
      audit(command.optsWithGlobals<GlobalOptions & { readonly max: number }>(), terminal),
    );
  addBalanceCommands(cluster, terminal, exit);
  addDoctorCommand(cluster, terminal, exit);
}

async function describeCluster(options: DescribeOptions, terminal: Terminal): Promise<void> {
  const filtered = options.underReplicated === true || options.offline === true;
  const cluster = await withClient(options, terminal, async ({ admin }) => {
    const call = { signal: terminal.interrupted };
    const summary = await admin.describeCluster(false, call);
    const whole = filtered || summary.partitionCount <= PARTITIONS_SHOWN_COUNT_MAX;
    return whole ? admin.describeCluster(true, call) : summary;
  });
  const all = viewOf(cluster);
  const view = { ...all, partitions: all.partitions.filter((partition) => isWanted(partition, options)) };
  if (options.json === true) return terminal.line(jsonLine(view));
  await terminal.line(summaryText(view));
  await terminal.line(`\n${servicesTable(view, terminal)}`);
  await terminal.line(`\n${brokersTable(view, terminal)}`);
  if (view.partitions.length > 0) return terminal.line(`\n${partitionsTable(view.partitions, terminal)}`);
  if (filtered) terminal.note('no such partition');
  else if (view.partitionCount > 0) terminal.note('too many partitions to show all: use --under-replicated, --offline');
}

function isWanted({ leader, inSync, replicas }: PartitionView, { underReplicated, offline }: DescribeOptions): boolean {
  if (underReplicated !== true && offline !== true) return true;
  return (underReplicated === true && inSync.length < replicas.length) || (offline === true && leader === 0);
}

type View = ReturnType<typeof viewOf>;

function summaryText(view: View): string {
  return fields([
    ['cluster', view.clusterId],
    ['metadata store', view.metadataStore],
    ['topics', count(view.topicCount)],
    ['partitions', count(view.partitionCount)],
    ['under-replicated', count(view.underReplicatedCount)],
    ['offline', count(view.offlineCount)],
  ]);
}

function servicesTable({ endpoints }: View, { colors }: Terminal): string {
  const rows = endpoints.map(({ service, address, active }) => [service, address, active === true ? 'active' : '']);
  return table(['SERVICE', 'ADDRESS', ''], rows, colors);
}

function brokersTable({ brokers }: View, { colors }: Terminal): string {
  const rows = brokers.map((broker) => [
    String(broker.brokerId),
    broker.address,
    broker.state,
    count(broker.replicaCount),
    count(broker.leaderCount),
    mebibytes(broker.logBytes),
    mebibytes(broker.freeBytes),
    broker.version,
  ]);
  return table(['BROKER', 'ADDRESS', 'STATE', 'REPLICAS', 'LEADERS', 'LOG MIB', 'FREE MIB', 'VERSION'], rows, colors);
}

function partitionsTable(partitions: readonly PartitionView[], { colors }: Terminal): string {
  const rows = partitions.map((partition) => [
    `${partition.topic}/${partition.partition}`,
    partition.state,
    partition.leader === 0 ? 'none' : String(partition.leader),
    String(partition.leaderEpoch),
    partition.replicas.join(','),
    partition.inSync.join(','),
    String(partition.highWatermark),
    lagText(partition),
  ]);
  return table(['PARTITION', 'STATE', 'LEADER', 'EPOCH', 'REPLICAS', 'IN SYNC', 'COMMITTED', 'LAG'], rows, colors);
}

/** `2:7 for 12 s, 3:0!` */
function lagText({ lags }: PartitionView): string {
  return lags
    .filter(({ lagRecords, suspect }) => lagRecords > 0n || suspect)
    .map(({ brokerId, lagRecords, lagMs, suspect }) => {
      const age = lagMs === undefined || lagMs < 1000 ? '' : ` for ${count(Math.round(lagMs / 1000))} s`;
      return `${brokerId}:${lagRecords}${suspect ? '!' : ''}${age}`;
    })
    .join(', ');
}

async function audit(options: GlobalOptions & { readonly max: number }, terminal: Terminal): Promise<void> {
  await withClient(options, terminal, async ({ admin }) => {
    const rows: string[][] = [];
    let shown = 0;
    for await (const { time, operation, resource, clientId, detailsJson } of admin.listAuditEntries()) {
      const at = timeText(time) ?? '-';
      if (options.json === true)
        await terminal.line(jsonLine({ time: at, operation, resource, clientId, details: parsed(detailsJson) }));
      else rows.push([at, operation, resource, clientId === '' ? '-' : clientId, detailsJson]);
      shown += 1;
      if (shown === options.max) break;
    }
    if (options.json === true) return;
    if (rows.length === 0) terminal.note('nothing was changed yet');
    else await terminal.line(table(['TIME', 'OPERATION', 'RESOURCE', 'CLIENT', 'DETAILS'], rows, terminal.colors));
  });
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return json;
  }
}
