/**
 * Whether the directory in Redis says what the brokers' disks say: which topics there are, with which settings, and for
 * every partition the replicas, the newest epoch and who leads it. Redis is read raw, past any store; the disks are those of
 * running brokers (topic.config, storage.json, meta.journal).
 */
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createHost, createNodeDisk, decodeTopicConfigFile, readBrokerFiles } from '@partita/log';
import { CleanupPolicy, CompressionCodec, FlushMode, ReplicaMeta, TimestampType, TopicConfig } from '@partita/protocol';
import type { TopicSettings } from '@partita/protocol';
import { Redis } from 'ioredis';
import { until } from './until.ts';

/** A broker's disk, and where the directory of its cluster is. */
export interface EqualitySite {
  readonly redis: string;
  readonly brokers: readonly { readonly id: number; readonly dataDir: string }[];
}

/** Seconds until both said the same, looked at again and again; throws with the differences when `secondsMax` have passed. */
export async function untilDirectoryEqual(site: () => EqualitySite, secondsMax: number): Promise<number> {
  const beganMs = performance.now();
  await until('the directory to equal the inventories', secondsMax, async () => {
    const found = await directoryDifferences(site());
    if (found.length > 0) throw new Error(`${found.length} differences:\n${found.slice(0, 10).join('\n')}`);
    return true;
  });
  return (performance.now() - beganMs) / 1000;
}

/** One line for each thing that the directory has not, has too much, or has otherwise. Empty = equal. */
export async function directoryDifferences({ redis: url, brokers }: EqualitySite): Promise<string[]> {
  const disks = await Promise.all(brokers.map(readDisk));
  const redis = new Redis(url, { maxRetriesPerRequest: 1, retryStrategy: () => null });
  redis.on('error', () => undefined);
  try {
    return await compare(redis, disks);
  } finally {
    redis.disconnect();
  }
}

interface BrokerDisk {
  readonly brokerId: number;
  readonly dirUuid: string;
  readonly topics: ReadonlyMap<string, TopicConfig>;
  /** By `<topic id>/<partition>`. */
  readonly replicas: ReadonlyMap<string, ReplicaMeta>;
}

async function readDisk({ id, dataDir }: EqualitySite['brokers'][number]): Promise<BrokerDisk> {
  const faults: string[] = [];
  const report = async ({ severity, message }: { readonly severity: string; readonly message: string }) => {
    if (severity === 'damage') faults.push(message);
  };
  const disk = createNodeDisk();
  const files = await readBrokerFiles({ disk, host: createHost(disk), directory: dataDir, report });
  const { identity, journal } = files;
  if (identity === undefined || journal === undefined) throw new Error(`${dataDir}: ${faults.join(', ')}`);
  const replicas = new Map<string, ReplicaMeta>();
  for (const [key, value] of journal.state)
    if (key.startsWith('replica/')) replicas.set(key.slice('replica/'.length), ReplicaMeta.decode(value));
  return { brokerId: id, dirUuid: identity.dirUuid, topics: topicsBelow(dataDir), replicas };
}

function topicsBelow(dataDir: string): Map<string, TopicConfig> {
  const topics = new Map<string, TopicConfig>();
  for (const name of readdirSync(dataDir)) {
    const path = join(dataDir, name, 'topic.config');
    if (!/^[0-9a-f-]{36}$/.test(name) || statSync(path, { throwIfNoEntry: false }) === undefined) continue;
    const content = decodeTopicConfigFile(readFileSync(path));
    if (!Buffer.isBuffer(content)) throw new Error(`${path} is ${content}`);
    topics.set(name, TopicConfig.decode(content));
  }
  return topics;
}

async function compare(redis: Redis, disks: readonly BrokerDisk[]): Promise<string[]> {
  const [metaKey] = await redis.keys('partita:{*}:meta');
  if (metaKey === undefined || (await redis.hget(metaKey, 'generation')) === null) return ['no directory'];
  const prefix = metaKey.slice(0, -'meta'.length);
  const stored = new Map(Object.entries(await redis.hgetall(`${prefix}topics`)).map(([name, id]) => [id, name]));
  const held = newestTopics(disks);
  const found: string[] = [];
  for (const [topicId, name] of stored) if (!held.has(topicId)) found.push(`topic ${name} is on no disk`);
  const keys = await redis.keys(`${prefix}topic:*`);
  for (const key of keys) if (!stored.has(key.slice(prefix.length + 6))) found.push(`${key} has no name`);
  for (const [topicId, config] of held) {
    const name = stored.get(topicId);
    if (name === undefined) {
      found.push(`topic ${config.topic} is not in the directory`);
      continue;
    }
    found.push(...topicDifferences(await redis.hgetall(`${prefix}topic:${topicId}`), config, name));
    const entries = await redis.hgetall(`${prefix}part:${topicId}`);
    for (const { partition } of config.partitions)
      found.push(...partitionDifferences(entries[partition], `${topicId}/${partition}`, disks));
    if (Object.keys(entries).length !== config.partitions.length) found.push(`${name} has other partitions`);
  }
  return found;
}

/** Of each topic the newest version that any disk holds. */
function newestTopics(disks: readonly BrokerDisk[]): Map<string, TopicConfig> {
  const newest = new Map<string, TopicConfig>();
  for (const { topics } of disks)
    for (const [topicId, config] of topics)
      if ((newest.get(topicId)?.version ?? -1n) < config.version) newest.set(topicId, config);
  return newest;
}

function topicDifferences(hash: Readonly<Record<string, string>>, config: TopicConfig, name: string): string[] {
  const { v: _, ...json } = JSON.parse(hash['settings'] ?? '{}') as Record<string, unknown>;
  const stored = { ...json, version: hash['version'], replicationFactor: hash['replication_factor'] };
  const expected = {
    name: config.topic,
    ranges: config.partitions.map(({ hashMin, hashMax }) => [hashMin, hashMax]),
    settings: plainSettings(config.settings),
    createTimeMs: Number(config.createTimeMs),
    requestId: config.requestId,
    version: String(config.version),
    replicationFactor: String(config.replicationFactor),
  };
  const found: string[] = [];
  for (const [field, value] of Object.entries(expected)) {
    const [is, should] = [sortedJson(Reflect.get(stored, field)), sortedJson(value)];
    if (is !== should) found.push(`topic ${name}: ${field} is ${is}, on disk ${should}`);
  }
  if (hash['state'] !== 'active') found.push(`topic ${name} is ${hash['state']}`);
  const isParked = name === `${config.topic}~conflict~${config.topicId}`;
  if (name !== hash['name'] || (name !== config.topic && !isParked))
    found.push(`topic ${config.topic} is called ${name}`);
  return found;
}

interface PartitionJson {
  readonly configVersion: number;
  readonly replicas: readonly { readonly brokerId: number; readonly dirUuid: string; readonly replicaId: string }[];
  readonly leader: number;
  readonly epoch: number;
}

/** Only one broker ever leads an epoch, and it notes so before it does: the highest such note names the leader. */
function partitionDifferences(text: string | undefined, key: string, disks: readonly BrokerDisk[]): string[] {
  if (text === undefined) return [`partition ${key} is not in the directory`];
  const { configVersion, replicas, leader, epoch } = JSON.parse(text) as PartitionJson;
  const found: string[] = [];
  const led = disks.map(({ brokerId, replicas: held }) => ({ brokerId, ...(held.get(key) ?? ReplicaMeta.create()) }));
  const newest = led.toSorted((a, b) => b.ledEpoch - a.ledEpoch)[0];
  if (newest?.ledEpoch !== epoch || newest.brokerId !== leader)
    found.push(`partition ${key}: ${leader} leads ${epoch}, on disk ${newest?.brokerId} leads ${newest?.ledEpoch}`);
  const floor = Math.max(...led.map(({ configFloor }) => configFloor));
  if (configVersion < floor) found.push(`partition ${key}: config ${configVersion}, committed on disk ${floor}`);
  for (const { brokerId, dirUuid, replicaId } of replicas) {
    const disk = disks.find((candidate) => candidate.brokerId === brokerId);
    if (disk?.dirUuid !== dirUuid || disk.replicas.get(key)?.replicaId !== replicaId)
      found.push(`partition ${key}: broker ${brokerId} has another replica, or none`);
  }
  if (replicas.length === 0) found.push(`partition ${key} has no replicas`);
  return found;
}

/** As the directory writes them: milliseconds, bytes, words. */
function plainSettings(settings: TopicSettings | undefined): Record<string, unknown> {
  const plain: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(settings ?? {})) {
    if (value === undefined || (Array.isArray(value) && value.length === 0)) continue;
    plain[name] = plainValue(name, value);
  }
  return plain;
}

function plainValue(name: string, value: unknown): unknown {
  if (name === 'flush') return word(FlushMode, 'FLUSH_MODE_', value);
  if (name === 'cleanupPolicy') return word(CleanupPolicy, 'CLEANUP_POLICY_', value);
  if (name === 'timestampType') return word(TimestampType, 'TIMESTAMP_TYPE_', value);
  if (Array.isArray(value)) return value.map((codec) => word(CompressionCodec, 'COMPRESSION_CODEC_', codec));
  if (typeof value === 'bigint') return Number(value);
  if (typeof value !== 'object' || value === null) return value;
  const { seconds, nanos } = value as { readonly seconds: bigint; readonly nanos: number };
  return Number(seconds) * 1000 + nanos / 1e6;
}

function word(table: Readonly<Record<string, number>>, prefix: string, value: unknown): string | undefined {
  const [name] = Object.entries(table).find(([, number]) => number === value) ?? [];
  return name?.slice(prefix.length).toLowerCase();
}

function sortedJson(value: unknown): string {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return JSON.stringify(value);
  return JSON.stringify(Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))));
}
