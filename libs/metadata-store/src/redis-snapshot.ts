/**
 * Reads the whole directory of one cluster from Redis. It takes several round trips; when the revision has moved
 * meanwhile it reads again, and in the end takes what it has, as long as the generation stayed: every entry carries
 * its own version, and a topic without a partition yet is nothing new to a coordinator.
 */
import { METADATA_CHUNK_COUNT_MAX, PartitaError } from '@partita/domain';
import type { Redis } from 'ioredis';
import { decodeBrokerEntry } from './broker-entry.ts';
import type { MetadataKeys } from './keys.ts';
import type { DirectoryContent, DirectoryMeta, PartitionPublication } from './metadata-store.ts';
import { decodePartitionEntry } from './partition-entry.ts';
import { wrongCluster } from './store-errors.ts';
import { decodeSettingsEntry } from './settings-entry.ts';
import { field, malformed, text, whole } from './stored-fields.ts';
import { type TopicEntry, type TopicTombstone, decodeTombstone, decodeTopicEntry } from './topic-entry.ts';
import type { RedisConnection } from './redis-connection.ts';

/** Version of the layout in keys.ts. */
export const DIRECTORY_SCHEMA = 1;
const TRY_COUNT_MAX = 5;

type Hash = Readonly<Record<string, string>>;
export interface DirectoryReader {
  readonly connection: RedisConnection;
  readonly keys: MetadataKeys;
  readonly clusterId: string;
}

/** The meta of a finished build and the highest token given; meta is undefined when there is no such build. */
export async function readDirectoryMeta(
  reader: DirectoryReader,
): Promise<{ meta: DirectoryMeta | undefined; leaseNumberGiven: number }> {
  const { keys } = reader;
  const [hash, given] = await pipeline(reader, (queue) => queue.hgetall(keys.meta).get(keys.leaseSeq));
  const leaseNumberGiven = given === null ? 0 : whole({ where: keys.leaseSeq, value: given });
  return { meta: decodeMeta(reader, hash as Hash), leaseNumberGiven };
}

/** The directory and its meta as of one generation; undefined when there is no finished build. */
export async function readDirectory(
  reader: DirectoryReader,
): Promise<{ meta: DirectoryMeta; leaseNumberGiven: number; content: DirectoryContent } | undefined> {
  for (let attempt = 1; ; attempt += 1) {
    const before = await readDirectoryMeta(reader);
    if (before.meta === undefined) return undefined;
    const content = await attemptContent(reader);
    const { meta, leaseNumberGiven } = await readDirectoryMeta(reader);
    if (meta === undefined) return undefined;
    const same = meta.generation === before.meta.generation;
    if (same && (meta.revision === before.meta.revision || attempt >= TRY_COUNT_MAX)) {
      if (content instanceof PartitaError) throw content;
      return { meta: before.meta, leaseNumberGiven, content };
    }
    if (attempt >= TRY_COUNT_MAX) {
      throw new PartitaError('METADATA_STORE_UNAVAILABLE', 'the directory is being rebuilt; try again', {});
    }
  }
}

/** A malformed entry is an error only if nothing changed while it was read. */
async function attemptContent(reader: DirectoryReader): Promise<DirectoryContent | PartitaError> {
  try {
    return await readContent(reader);
  } catch (error) {
    if (error instanceof PartitaError) return error;
    throw error;
  }
}

async function readContent(reader: DirectoryReader): Promise<DirectoryContent> {
  const { keys } = reader;
  const [brokers, names, groups, settings] = await pipeline(reader, (queue) =>
    queue.hgetall(keys.brokers).hgetall(keys.topics).hgetall(keys.groups).hgetall(keys.settings),
  );
  const topicIds = Object.values(names as Hash);
  const topics: TopicEntry[] = [];
  const partitions: PartitionPublication[] = [];
  for (let from = 0; from < topicIds.length; from += METADATA_CHUNK_COUNT_MAX) {
    const ids = topicIds.slice(from, from + METADATA_CHUNK_COUNT_MAX);
    const hashes = await pipeline(reader, (queue) => {
      for (const id of ids) queue.hgetall(keys.topic(id)).hgetall(keys.part(id));
      return queue;
    });
    for (const [index, id] of ids.entries()) {
      topics.push(decodeTopicEntry(keys.topic(id), id, hashes[2 * index] as Hash));
      partitions.push(...decodePartitions(keys.part(id), id, hashes[2 * index + 1] as Hash));
    }
  }
  return {
    brokers: Object.entries(brokers as Hash).map(([id, stored]) =>
      decodeBrokerEntry(`${keys.brokers} ${id}`, id, stored),
    ),
    topics,
    partitions,
    tombstones: await readTombstones(reader),
    groups: Object.entries(groups as Hash).map(([shard, value]) => ({
      shard: whole({ where: `${keys.groups} ${shard}`, value: shard }),
      value,
    })),
    settings: decodeSettingsEntry(keys.settings, settings as Hash),
  };
}

function decodePartitions(key: string, topicId: string, hash: Hash): PartitionPublication[] {
  return Object.entries(hash).map(([partition, stored]) => ({
    topicId,
    partition: whole({ where: `${key} ${partition}`, value: partition }),
    entry: decodePartitionEntry(`${key} ${partition}`, stored),
  }));
}

async function readTombstones(reader: DirectoryReader): Promise<TopicTombstone[]> {
  const keys = await scanKeys(reader, reader.keys.tombPattern);
  const tombstones: TopicTombstone[] = [];
  for (let from = 0; from < keys.length; from += METADATA_CHUNK_COUNT_MAX) {
    const chunk = keys.slice(from, from + METADATA_CHUNK_COUNT_MAX);
    const values = await reader.connection.run((redis) => redis.mget(...chunk));
    for (const [index, key] of chunk.entries()) {
      const stored = values[index];
      // One that ended between the two commands is absent.
      if (typeof stored === 'string') {
        tombstones.push(decodeTombstone(key, key.slice(reader.keys.tomb('').length), stored));
      }
    }
  }
  return tombstones;
}

/** The keys that match, each once. */
export async function scanKeys(reader: DirectoryReader, pattern: string): Promise<string[]> {
  const found = new Set<string>();
  let cursor = '0';
  do {
    const from = cursor;
    const [next, keys] = await reader.connection.run((redis) =>
      redis.scan(from, 'MATCH', pattern, 'COUNT', METADATA_CHUNK_COUNT_MAX),
    );
    for (const key of keys) found.add(key);
    cursor = next;
  } while (cursor !== '0');
  return [...found];
}

function decodeMeta(reader: DirectoryReader, hash: Hash): DirectoryMeta | undefined {
  const { keys, clusterId } = reader;
  const found = hash['cluster_id'];
  if (found !== undefined && found !== clusterId) throw wrongCluster(clusterId, found);
  if (hash['generation'] === undefined) return undefined;
  const meta = { where: keys.meta, value: hash };
  if (found === undefined) throw malformed(keys.meta, 'a generation without a cluster id');
  const schema = whole(field(meta, 'schema'), 1);
  if (schema > DIRECTORY_SCHEMA) {
    throw new PartitaError(
      'VERSION_NOT_SUPPORTED',
      `the directory in Redis has schema ${schema}, this coordinator knows ${DIRECTORY_SCHEMA}: upgrade the coordinator`,
      { schema: String(schema) },
    );
  }
  return { clusterId, generation: text(field(meta, 'generation')), revision: whole(field(meta, 'revision')) };
}

async function pipeline(
  reader: DirectoryReader,
  fill: (queue: ReturnType<Redis['pipeline']>) => ReturnType<Redis['pipeline']>,
): Promise<unknown[]> {
  return reader.connection.run(async (redis) => {
    const replies = (await fill(redis.pipeline()).exec()) ?? [];
    return replies.map(([error, reply]) => {
      if (error === null) return reply;
      throw error.message.startsWith('WRONGTYPE') ? malformed(reader.keys.meta, 'keys of another type') : error;
    });
  });
}
