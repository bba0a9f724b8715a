/** Three nodes of Kafka on loopback, broker and controller in one, with their data in a folder of the bench. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freeLoopbackPort } from '@partita/tool-dev/redis-server.ts';
import { BROKER_COUNT } from '../workload.ts';
import { PeerCluster, ServerProcess } from './server-process.ts';

/** As the start scripts of its release set them, and no more heap. */
const JVM_FLAGS = [
  ...['-Xms1g', '-Xmx1g', '-server', '-XX:+UseG1GC', '-XX:MaxGCPauseMillis=20'],
  ...['-XX:InitiatingHeapOccupancyPercent=35', '-XX:+ExplicitGCInvokesConcurrent', '-Djava.awt.headless=true'],
  '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
];
const FORMAT_MS_MAX = 60_000;
const CLUSTER_ID_BYTES = 16;

export interface KafkaNode {
  readonly id: number;
  readonly port: number;
  readonly controllerPort: number;
}

/** Everything that is not named here is Kafka's default. */
export function kafkaProperties(node: KafkaNode, nodes: readonly KafkaNode[], dataDir: string): string {
  const address = (port: number): string => `127.0.0.1:${port}`;
  const settings = {
    'process.roles': 'broker,controller',
    'node.id': node.id,
    'controller.quorum.voters': nodes.map(({ id, controllerPort }) => `${id}@${address(controllerPort)}`).join(','),
    listeners: `PLAINTEXT://${address(node.port)},CONTROLLER://${address(node.controllerPort)}`,
    'advertised.listeners': `PLAINTEXT://${address(node.port)}`,
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'PLAINTEXT',
    'log.dirs': dataDir,
    'auto.create.topics.enable': false,
  };
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
}

/** Returns when they are started, not when they have found each other: the load waits for that. */
export async function startKafka(classPath: string, folder: string): Promise<PeerCluster> {
  const nodes = await Promise.all(
    Array.from({ length: BROKER_COUNT }, async (_, index) => ({
      id: index + 1,
      port: await freeLoopbackPort(),
      controllerPort: await freeLoopbackPort(),
    })),
  );
  const clusterId = randomBytes(CLUSTER_ID_BYTES).toString('base64url');
  const files = nodes.map((node) => {
    const home = join(folder, `kafka-${node.id}`);
    mkdirSync(home);
    const file = join(home, 'server.properties');
    writeFileSync(file, kafkaProperties(node, nodes, join(home, 'data')));
    return file;
  });
  for (const file of files) await format(classPath, clusterId, file);
  const servers = files.map((file) =>
    ServerProcess.start('java', [...JVM_FLAGS, '-cp', classPath, 'kafka.Kafka', file], `${file}.log`),
  );
  return new PeerCluster(
    nodes.map(({ port }) => `127.0.0.1:${port}`),
    servers,
  );
}

async function format(classPath: string, clusterId: string, file: string): Promise<void> {
  const args = ['-cp', classPath, 'kafka.tools.StorageTool', 'format', '-t', clusterId, '-c', file];
  await promisify(execFile)('java', args, { timeout: FORMAT_MS_MAX });
}
