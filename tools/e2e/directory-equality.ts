/**
 * Whether the directory in Redis says what the brokers' disks say: which topics there are, with which settings, and for
 * every partition the replicas, the newest epoch and who leads it. Redis is read raw, past any store; the disks are those of
 * running brokers (topic.config, storage.json, meta.journal).
 */
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { createHost, createNodeDisk, decodeTopicConfigFile, readBrokerFiles } from '@partita/log';
import { CleanupPolicy, CompressionCodec, FlushMode, ReplicaMeta, TimestampType, TopicConfig } from '@partita/protocol';
import type { TopicSettings } from '@partita/protocol';
import { Redis } from 'ioredis';
import { until } from './until.ts';

/** Disks are looked at again after this, though the directory has not changed. */
const DISK_LOOK_MS = 3000;
const DISK_READ_COUNT_MAX = 5;

/** A broker's disk, and where the directory of its cluster is. */
export interface EqualitySite {
  readonly redis: string;
  readonly brokers: readonly { readonly id: number; readonly dataDir: string }[];
}

/**
 * Seconds until the directory said what the disks say: until it was read, since looking at disks takes its own time. Throws
 * with the differences when `secondsMax` have passed.
 */
export async function untilDirectoryEqual(site: () => EqualitySite, secondsMax: number): Promise<number> {
  const beganMs = performance.now();
  let readAtMs = beganMs;
  let lookedAtMs = -Infinity;
  let before: StoredDirectory | undefined;
  let found: string[] = [];
  await until('the directory to equal the inventories', secondsMax, async () => {
    const stored = await readStored(site().redis);
    // To look at disks is heavy enough to hold up what is waited for: only when there is news, or they may have some.
    if (!isDeepStrictEqual(stored, before) || performance.now() - lookedAtMs > DISK_LOOK_MS) {
      readAtMs = performance.now();
      found = await differences(stored, site());
      [before, lookedAtMs] = [stored, performance.now()];
    }
    if (found.length > 0) throw new Error(`${found.length} differences:\n${found.slice(0, 10).join('\n')}`);
    return true;
  });
  return (readAtMs - beganMs) / 1000;
}

/** One line for each thing that the directory has not, has too much, or has otherwise. Empty = equal. */
export async function directoryDifferences(site: EqualitySite): Promise<string[]> {
  return differences(await readStored(site.redis), site);
}

async function differences(stored: StoredDirectory | undefined, { brokers }: EqualitySite): Promise<string[]> {
  return stored === undefined ? ['no directory'] : compare(stored, await Promise.all(brokers.map(readDisk)));
}

type Hash = Readonly<Record<string, string>>;

/** As it lies in Redis. */
interface StoredDirectory {
  /** By topic id. */
  readonly names: ReadonlyMap<string, string>;
  readonly topics: ReadonlyMap<string, Hash>;
  readonly partitions: ReadonlyMap<string, Hash>;
}

/** Undefined when there is no finished build. */
async function readStored(url: string): Promise<StoredDirectory | undefined> {
  const redis = new Redis(url, { maxRetriesPerRequest: 1, retryStrategy: () => null });
  redis.on('error', () => undefined);
  try {
    const [metaKey] = await redis.keys('partita:{*}:meta');
    if (metaKey === undefined || (await redis.hget(metaKey, 'generation')) === null) return undefined;
    const prefix = metaKey.slice(0, -'meta'.length);
    const names = new Map(Object.entries(await redis.hgetall(`${prefix}topics`)).map(([name, id]) => [id, name]));
    const hashes = async (kind: string): Promise<Map<string, Hash>> => {
      const keys = await redis.keys(`${prefix}${kind}:*`);
      const read = keys.map(async (key) => [key.slice(`${prefix}${kind}:`.length), await redis.hgetall(key)] as const);
      return new Map(await Promise.all(read));
    };
    return { names, topics: await hashes('topic'), partitions: await hashes('part') };
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

/** A running broker may write its journal while it is read: then it is read again. */
async function readDisk(broker: EqualitySite['brokers'][number]): Promise<BrokerDisk> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await readDiskOnce(broker);
    } catch (error) {
      if (attempt === DISK_READ_COUNT_MAX) throw error;
    }
  }
}

async function readDiskOnce({ id, dataDir }: EqualitySite['brokers'][number]): Promise<BrokerDisk> {
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

function compare({ names, topics, partitions }: StoredDirectory, disks: readonly BrokerDisk[]): string[] {
  const held = newestTopics(disks);
  const found: string[] = [];
  for (const [topicId, name] of names) if (!held.has(topicId)) found.push(`topic ${name} is on no disk`);
  for (const topicId of topics.keys()) if (!names.has(topicId)) found.push(`topic ${topicId} has no name`);
  for (const [topicId, config] of held) {
    const name = names.get(topicId);
    if (name === undefined) {
      found.push(`topic ${config.topic} is not in the directory`);
      continue;
    }
    found.push(...topicDifferences(topics.get(topicId) ?? {}, config, name));
    const entries = partitions.get(topicId) ?? {};
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

function topicDifferences(hash: Hash, config: TopicConfig, name: string): string[] {
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
