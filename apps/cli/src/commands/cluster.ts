/** `partita cluster …`: services, brokers and their load. */
import { BrokerState, ServiceKind } from '@partita/protocol';
import type { DescribeClusterResponse } from '@partita/protocol';
import type { Command } from 'commander';
import { withClient } from '../connect.ts';
import type { GlobalOptions } from '../connect.ts';
import { enumWord, jsonLine, timeText } from '../output/json.ts';
import { count, fields, table } from '../output/table.ts';
import type { Terminal } from '../terminal.ts';

export function addClusterCommand(program: Command, terminal: Terminal): void {
  program
    .command('cluster')
    .description('describe the cluster')
    .command('describe')
    .description('show services, brokers and how partitions are spread')
    .action((_options: unknown, command: Command) => describeCluster(command.optsWithGlobals(), terminal));
}

async function describeCluster(options: GlobalOptions, terminal: Terminal): Promise<void> {
  const cluster = await withClient(options, terminal, (client) =>
    client.admin.describeCluster(false, { signal: terminal.interrupted }),
  );
  const view = describe(cluster);
  if (options.json === true) return terminal.line(jsonLine(view));
  await terminal.line(
    fields([
      ['cluster', view.clusterId],
      ['metadata store', view.metadataStore],
      ['topics', count(view.topicCount)],
      ['partitions', count(view.partitionCount)],
      ['under-replicated', count(view.underReplicatedCount)],
      ['offline', count(view.offlineCount)],
    ]),
  );
  const services = view.endpoints.map(({ service, address, active }) => [
    service,
    address,
    active === true ? 'active' : '',
  ]);
  await terminal.line(`\n${table(['SERVICE', 'ADDRESS', ''], services, terminal.colors)}`);
  const brokers = view.brokers.map((broker) => [
    String(broker.brokerId),
    broker.address,
    broker.state,
    count(broker.replicaCount),
    count(broker.leaderCount),
    mebibytes(broker.logBytes),
    mebibytes(broker.freeBytes),
    broker.version,
  ]);
  return terminal.line(
    `\n${table(['BROKER', 'ADDRESS', 'STATE', 'REPLICAS', 'LEADERS', 'LOG MIB', 'FREE MIB', 'VERSION'], brokers, terminal.colors)}`,
  );
}

function describe(cluster: DescribeClusterResponse) {
  return {
    clusterId: cluster.clusterId,
    metadataStore: cluster.metadataStoreState,
    topicCount: cluster.topicCount,
    partitionCount: cluster.partitionCount,
    underReplicatedCount: cluster.underReplicatedCount,
    offlineCount: cluster.offlineCount,
    endpoints: cluster.endpoints.map((endpoint) => ({
      service: enumWord(ServiceKind, 'SERVICE_KIND_', endpoint.service).replace('_', '-'),
      address: endpoint.address,
      ...(endpoint.brokerId === 0 ? {} : { brokerId: endpoint.brokerId }),
      ...(endpoint.active ? { active: true } : {}),
    })),
    brokers: cluster.brokers.map(({ broker, replicaCount, leaderCount, logBytes, freeBytes }) => ({
      brokerId: broker?.brokerId ?? 0,
      address: broker?.address ?? '',
      state: enumWord(BrokerState, 'BROKER_STATE_', broker?.state ?? 0),
      rack: broker?.rack ?? '',
      version: broker?.version ?? '',
      startTime: timeText(broker?.startTime),
      replicaCount,
      leaderCount,
      logBytes,
      freeBytes,
    })),
  };
}

function mebibytes(bytes: bigint): string {
  return (Number(bytes) / 1024 ** 2).toFixed(1);
}
