/**
 * The directory against the truth: what Redis says of every topic's partitions is what the coordinator says, and each replica
 * that they name is on the disk of its broker, and no other.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from '@partita/client';
import type { Partition, Topic } from '@partita/protocol';
import { until } from '@partita/tool-dev/until.ts';
import { Redis } from 'ioredis';
import type { ChaosCluster } from '../cluster/chaos-cluster.ts';
import { REDIS } from '../cluster/launcher-messages.ts';

/** The directory is written behind the answers. */
const SECONDS_MAX = 20;

export interface DirectoryCheck {
  readonly partitionCount: number;
  readonly problems: readonly string[];
}

/** On a cluster where nothing happens any more. */
export async function checkDirectory(cluster: ChaosCluster): Promise<DirectoryCheck> {
  const { address } = await cluster.member(REDIS);
  const redis = new Redis(`redis://${address}`, { maxRetriesPerRequest: 1 });
  redis.on('error', () => undefined); // the commands tell
  try {
    const found = { problems: ['nothing was compared'], partitionCount: 0 };
    await until('the directory to be as the coordinator says', SECONDS_MAX, async () => {
      const topics = await topicsOf(cluster);
      found.partitionCount = topics.reduce((sum, { partitions }) => sum + partitions.length, 0);
      found.problems = (await Promise.all(topics.map((topic) => compare(cluster, redis, topic)))).flat();
      return found.problems.length === 0 && found.partitionCount > 0;
    }).catch(() => undefined);
    return found;
  } finally {
    redis.disconnect();
  }
}

/** With Partita's own. */
async function topicsOf(cluster: ChaosCluster): Promise<Topic[]> {
  const client = await connect({ servers: cluster.endpoints, clientId: 'chaos' });
  try {
    const names: string[] = ['__groups'];
    for await (const { name } of client.admin.listTopics()) if (!names.includes(name)) names.push(name);
    return await Promise.all(names.map((name) => client.admin.getTopic(name)));
  } finally {
    await client.close();
  }
}

async function compare(cluster: ChaosCluster, redis: Redis, { name, topicId, partitions }: Topic): Promise<string[]> {
  const [key, ...others] = await redis.keys(`partita:{*}:part:${topicId}`);
  if (key === undefined || others.length > 0)
    return [`${name} has ${others.length === 0 ? 'no' : 'several'} entries in Redis`];
  const entries = await redis.hgetall(key);
  const stray = Object.keys(entries).length - partitions.length;
  const problems = stray === 0 ? [] : [`Redis has ${stray} partitions of ${name} too many`];
  for (const partition of partitions) {
    const where = `${name}-${partition.partition}`;
    const entry = entries[String(partition.partition)];
    const said = placesOf(partition);
    const stored = entry === undefined ? 'nothing' : storedPlaces(entry);
    if (said !== stored) problems.push(`of ${where} Redis says ${stored}, the coordinator ${said}`);
    problems.push(...diskProblems(cluster, { topicId, partition, where }));
  }
  return problems;
}

function diskProblems(
  cluster: ChaosCluster,
  { topicId, partition, where }: { readonly topicId: string; readonly partition: Partition; readonly where: string },
): string[] {
  return cluster.file.brokers.flatMap(({ id, dataDir }) => {
    const isThere = existsSync(join(dataDir, topicId, String(partition.partition)));
    const isNamed = partition.replicas.some(({ brokerId }) => brokerId === id);
    if (isThere === isNamed) return [];
    return [
      `broker ${id} ${isThere ? 'has' : 'lacks'} a replica of ${where} that the directory ${isNamed ? 'names' : 'does not name'}`,
    ];
  });
}

function placesOf({ leaderId, leaderEpoch, replicas }: Partition): string {
  return `leader ${leaderId} at epoch ${leaderEpoch} of ${replicas.map(({ brokerId }) => brokerId).join()}`;
}

function storedPlaces(entry: string): string {
  const { leader, epoch, replicas } = JSON.parse(entry) as {
    readonly leader: number;
    readonly epoch: number;
    readonly replicas: readonly { readonly brokerId: number }[];
  };
  return placesOf({ leaderId: leader, leaderEpoch: epoch, replicas } as Partition);
}
