/**
 * Reads the whole directory of one cluster from Redis. It takes several round trips; when the revision has moved
 * meanwhile it reads again, and in the end takes what it has, as long as the generation stayed: every entry carries
 * its own version, and a topic without a partition yet is nothing new to a coordinator.
 */
import { isUuid, METADATA_CHUNK_COUNT_MAX, PartitaError } from '@partita/domain';
import type { Redis } from 'ioredis';
import { decodeBrokerEntry } from './broker-entry.ts';
import type { MetadataKeys } from './keys.ts';
import type { DirectoryContent, DirectoryMeta, PartitionPublication } from './metadata-store.ts';
import { decodePartitionEntry } from './partition-entry.ts';
import { wrongCluster } from './store-errors.ts';
import { decodeSettingsEntry } from './settings-entry.ts';
import { field, isMalformed, malformed, STORED_ID_MAX, uuid, whole } from './stored-fields.ts';
import { type TopicEntry, type TopicTombstone, decodeTombstone, decodeTopicEntry } from './topic-entry.ts';
import type { RedisConnection } from './redis-connection.ts';

/** Version of the layout in keys.ts. */
export const DIRECTORY_SCHEMA = 1;
const TRY_COUNT_MAX = 5;
const FAULT_COUNT_MAX = 20;

type Hash = Readonly<Record<string, string>>;
export interface DirectoryReader {
  readonly connection: RedisConnection;
  readonly keys: MetadataKeys;
  readonly clusterId: string;
}

export interface StoredMeta {
  /** Undefined when there is no finished build of this cluster. */
  readonly meta: DirectoryMeta | undefined;
  readonly leaseNumberGiven: number;
  /** What is wrong with the keys, see MetadataSnapshot.faults. */
  readonly fault: string | undefined;
}

/** The meta of a finished build and the highest token given. What is damaged counts as absent. */
export async function readDirectoryMeta(reader: DirectoryReader): Promise<StoredMeta> {
  const { keys } = reader;
  const [hash, given] = await pipeline(reader, (queue) => queue.hgetall(keys.meta).get(keys.leaseSeq));
  const faults: string[] = [];
  const number = typeof given === 'string' ? given : '0';
  const leaseNumberGiven = orFault(faults, () => whole({ where: keys.leaseSeq, value: number })) ?? 0;
  if (hash instanceof PartitaError || given instanceof PartitaError) faults.push(`${keys.meta}: keys of another type`);
  const meta = decodeMeta(reader, hash instanceof PartitaError ? {} : (hash as Hash), faults);
  return { meta, leaseNumberGiven, fault: faults[0] };
}

export interface StoredDirectory {
  readonly meta: DirectoryMeta;
  readonly leaseNumberGiven: number;
  readonly content: DirectoryContent;
  readonly faults: readonly string[];
}

/** The directory and its meta as of one generation; undefined when there is no finished build. */
export async function readDirectory(reader: DirectoryReader): Promise<StoredDirectory | undefined> {
  for (let attempt = 1; ; attempt += 1) {
    const before = await readDirectoryMeta(reader);
    if (before.meta === undefined) return undefined;
    const { content, faults } = await readContent(reader);
    const { meta, leaseNumberGiven } = await readDirectoryMeta(reader);
    if (meta === undefined) return undefined;
    const same = meta.generation === before.meta.generation;
    if (same && (meta.revision === before.meta.revision || attempt >= TRY_COUNT_MAX)) {
      const all = before.fault === undefined ? faults : [before.fault, ...faults];
      return { meta: before.meta, leaseNumberGiven, content, faults: all.slice(0, FAULT_COUNT_MAX) };
    }
    if (attempt >= TRY_COUNT_MAX) {
      throw new PartitaError('METADATA_STORE_UNAVAILABLE', 'the directory is being rebuilt; try again', {});
    }
  }
}

/** What can be read, and what is wrong with the rest: no key spoils another. */
async function readContent(reader: DirectoryReader): Promise<{ content: DirectoryContent; faults: string[] }> {
  const { keys } = reader;
  const faults: string[] = [];
  const hash = (reply: unknown): Hash => orFault(faults, () => hashOf(reply)) ?? {};
  const [brokers, names, groups, settings, reassignments] = await pipeline(reader, (queue) =>
    queue.hgetall(keys.brokers).hgetall(keys.topics).hgetall(keys.groups).hgetall(keys.settings).hgetall(keys.moves),
  );
  const topics: TopicEntry[] = [];
  const partitions: PartitionPublication[] = [];
  const topicIds = Object.entries(hash(names)).flatMap(
    ([name, value]) => orFault(faults, () => uuid({ where: `${keys.topics} ${name}`, value })) ?? [],
  );
  for (let from = 0; from < topicIds.length; from += METADATA_CHUNK_COUNT_MAX) {
    const ids = topicIds.slice(from, from + METADATA_CHUNK_COUNT_MAX);
    const hashes = await pipeline(reader, (queue) => {
      for (const id of ids) queue.hgetall(keys.topic(id)).hgetall(keys.part(id));
      return queue;
    });
    for (const [index, id] of ids.entries()) {
      const topic = orFault(faults, () => decodeTopicEntry(keys.topic(id), id, hashOf(hashes[2 * index])));
      if (topic !== undefined) topics.push(topic);
      partitions.push(...decodePartitions(keys.part(id), id, hash(hashes[2 * index + 1]), faults));
    }
  }
  const decoded = Object.entries(hash(brokers)).flatMap(
    ([id, stored]) => orFault(faults, () => decodeBrokerEntry(`${keys.brokers} ${id}`, id, stored)) ?? [],
  );
  const hints = Object.entries(hash(groups)).flatMap(
    ([shard, value]) =>
      orFault(faults, () => ({ shard: partitionNumber(`${keys.groups} ${shard}`, shard), value })) ?? [],
  );
  const moves = Object.entries(hash(reassignments)).flatMap(
    ([id, value]) =>
      orFault(faults, () => ({ reassignmentId: uuid({ where: `${keys.moves} ${id}`, value: id }), value })) ?? [],
  );
  const tombstones = await readTombstones(reader, faults);
  const set = orFault(faults, () => decodeSettingsEntry(keys.settings, hashOf(settings)));
  const content = { brokers: decoded, topics, partitions, tombstones, groups: hints, settings: set, moves };
  return { content, faults };
}

function decodePartitions(key: string, topicId: string, hash: Hash, faults: string[]): PartitionPublication[] {
  return Object.entries(hash).flatMap(([number, stored]) => {
    const where = `${key} ${number}`;
    const decode = () => ({
      topicId,
      partition: partitionNumber(where, number),
      entry: decodePartitionEntry(where, stored),
    });
    return orFault(faults, decode) ?? [];
  });
}

function partitionNumber(where: string, value: string): number {
  return whole({ where, value }, 0, STORED_ID_MAX);
}

async function readTombstones(reader: DirectoryReader, faults: string[]): Promise<TopicTombstone[]> {
  const tombstones: TopicTombstone[] = [];
  for (const { key, topicId, stored } of await storedTombstones(reader)) {
    const tombstone = orFault(faults, () => decodeTombstone(key, topicId, stored));
    if (tombstone !== undefined) tombstones.push(tombstone);
  }
  return tombstones;
}

/** Keys of tombstones that hold none. */
export async function brokenTombstones(reader: DirectoryReader): Promise<string[]> {
  const stored = await storedTombstones(reader);
  return stored.flatMap(({ key, topicId, stored: text }) =>
    orFault([], () => decodeTombstone(key, topicId, text)) === undefined ? [key] : [],
  );
}

interface StoredTombstone {
  readonly key: string;
  readonly topicId: string;
  readonly stored: string;
}

async function storedTombstones(reader: DirectoryReader): Promise<StoredTombstone[]> {
  const keys = await scanKeys(reader, reader.keys.tombPattern);
  const found: StoredTombstone[] = [];
  for (let from = 0; from < keys.length; from += METADATA_CHUNK_COUNT_MAX) {
    const chunk = keys.slice(from, from + METADATA_CHUNK_COUNT_MAX);
    const values = await reader.connection.run((redis) => redis.mget(...chunk));
    const types = await pipeline(reader, (queue) => {
      for (const key of chunk) queue.type(key);
      return queue;
    });
    for (const [index, key] of chunk.entries()) {
      // One that ended between the commands is absent; one of another type has no text.
      if (types[index] === 'none') continue;
      found.push({ key, topicId: key.slice(reader.keys.tomb('').length), stored: values[index] ?? '' });
    }
  }
  return found;
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

/** `faults` is told of what is there and makes no sense. A revision that is none reads as 0, below any that was seen. */
function decodeMeta(reader: DirectoryReader, hash: Hash, faults: string[]): DirectoryMeta | undefined {
  const { keys, clusterId } = reader;
  const found = hash['cluster_id'];
  if (found !== undefined && found !== clusterId) {
    if (isUuid(found)) throw wrongCluster(clusterId, found);
    faults.push(`${keys.meta} cluster_id: not a lower-case UUID`);
    return undefined;
  }
  if (hash['generation'] === undefined) return undefined;
  const meta = { where: keys.meta, value: hash };
  const generation = orFault(faults, () => uuid(field(meta, 'generation')));
  if (generation === undefined || found === undefined) {
    faults.push(`${keys.meta}: no cluster id, or no generation`);
    return undefined;
  }
  const schema = orFault(faults, () => whole(field(meta, 'schema'), 1)) ?? DIRECTORY_SCHEMA;
  if (schema > DIRECTORY_SCHEMA) {
    throw new PartitaError(
      'VERSION_NOT_SUPPORTED',
      `the directory in Redis has schema ${schema}, this coordinator knows ${DIRECTORY_SCHEMA}: upgrade the coordinator`,
      { schema: String(schema) },
    );
  }
  return { clusterId, generation, revision: orFault(faults, () => whole(field(meta, 'revision'))) ?? 0 };
}

/** What `decode` returns, or undefined and a fault noted. */
function orFault<Decoded>(faults: string[], decode: () => Decoded): Decoded | undefined {
  try {
    return decode();
  } catch (error) {
    if (!isMalformed(error)) throw error;
    faults.push(`${error.metadata['key']}: ${error.metadata['fault']}`);
    return undefined;
  }
}

/** A reply as a hash; throws what `pipeline` found. */
function hashOf(reply: unknown): Hash {
  if (reply instanceof PartitaError) throw reply;
  return (reply ?? {}) as Hash;
}

/** Replies in order; in the place of one about a key of another type stands the error. */
async function pipeline(
  reader: DirectoryReader,
  fill: (queue: ReturnType<Redis['pipeline']>) => ReturnType<Redis['pipeline']>,
): Promise<unknown[]> {
  return reader.connection.run(async (redis) => {
    const replies = (await fill(redis.pipeline()).exec()) ?? [];
    return replies.map(([error, reply]) => {
      if (error === null) return reply;
      if (error.message.startsWith('WRONGTYPE')) return malformed(reader.keys.meta, 'keys of another type');
      throw error;
    });
  });
}
