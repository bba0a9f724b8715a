/**
 * What lies at a path: a broker's data directory, the directory of a topic or of a partition, or one segment file. Known
 * by its content first, so that a copy under another name is found too.
 */
import { isUuid } from '@partita/domain';
import { diskErrorCode } from '../disk.ts';
import type { ReadingDisk } from '../disk.ts';
import { parseSegmentName, segmentPath } from '../segment-files.ts';
import { decodeSegmentHeader, SEGMENT_HEADER_BYTES } from '../segment-header.ts';
import type { SegmentHeader } from '../segment-header.ts';

const BROKER_FILES = [
  'storage.json',
  'lock',
  'clean-shutdown',
  'checkpoint',
  'meta.journal.0',
  'meta.journal.1',
  'spare',
];
const PARTITION_NAME = /^(0|[1-9]\d{0,9})$/;

/** A partition's directory and whose it is, by the names of the directories or else by what its segments say. */
export interface PartitionPlace {
  readonly directory: string;
  readonly topicId: string;
  readonly partition: number;
  /** Only this segment of it; undefined = all. */
  readonly only?: string | undefined;
}

/** A topic's directory. */
export interface TopicPlace {
  readonly directory: string;
  readonly topicId: string;
}

/** What was found at a path. */
export interface Location {
  readonly kind: 'broker' | 'topic' | 'partition' | 'segment';
  readonly path: string;
  readonly topics: readonly TopicPlace[];
  readonly partitions: readonly PartitionPlace[];
  /** Paths that are no file of Partita's, or were left over while a file was being made. */
  readonly strangers: readonly string[];
}

/** What lies at an absolute path; undefined when there is nothing, or nothing of Partita's. */
export async function locate(disk: ReadingDisk, path: string): Promise<Location | undefined> {
  const names = await namesIn(disk, path);
  if (names === undefined) return locateSegment(disk, path);
  if (names.some((name) => BROKER_FILES.includes(name) && name !== 'lock')) return locateBroker(disk, path, names);
  if (names.some((name) => parseSegmentName(name) !== undefined)) return locatePartition(disk, path, names);
  const base = baseName(path);
  if (names.includes('topic.config') || isUuid(base)) {
    const topicId = isUuid(base) ? base : undefined;
    const { partitions, strangers } = await partitionsIn(disk, path, topicId, names);
    return { kind: 'topic', path, topics: [{ directory: path, topicId: topicId ?? base }], partitions, strangers };
  }
  if (names.some(isUuid)) return locateBroker(disk, path, names);
  const parent = baseName(parentOf(path));
  if (names.length > 0 || !PARTITION_NAME.test(base) || !isUuid(parent)) return undefined;
  return locatePartition(disk, path, names);
}

/** The header of a segment file; undefined when it has no intact one. VERSION_NOT_SUPPORTED. */
export async function readSegmentHeader(disk: ReadingDisk, path: string): Promise<SegmentHeader | undefined> {
  const file = await disk.open(path, 'read');
  try {
    const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES);
    return decodeSegmentHeader(bytes.subarray(0, await file.read(bytes, 0)));
  } finally {
    await file.close();
  }
}

/** A segment of a partition's directory. */
export interface ListedSegment {
  readonly path: string;
  readonly baseOffset: bigint;
  /** Where the next one begins; undefined for the last. */
  readonly endOffset: bigint | undefined;
}

/** The segments in a partition's directory, oldest first. */
export async function listSegments(disk: ReadingDisk, directory: string): Promise<ListedSegment[]> {
  const bases = (await disk.list(directory)).flatMap((name) => {
    const file = parseSegmentName(name);
    return file?.kind === 'log' ? [file.baseOffset] : [];
  });
  return bases.map((baseOffset, number) => ({
    path: segmentPath(directory, baseOffset, 'log'),
    baseOffset,
    endOffset: bases[number + 1],
  }));
}

async function locateBroker(disk: ReadingDisk, path: string, names: readonly string[]): Promise<Location> {
  const topics: TopicPlace[] = [];
  const partitions: PartitionPlace[] = [];
  const strangers: string[] = [];
  for (const name of names) {
    if (BROKER_FILES.includes(name)) continue;
    const directory = `${path}/${name}`;
    const inside = isUuid(name) ? await namesIn(disk, directory) : undefined;
    if (inside === undefined) {
      strangers.push(directory);
      continue;
    }
    topics.push({ directory, topicId: name });
    const found = await partitionsIn(disk, directory, name, inside);
    partitions.push(...found.partitions);
    strangers.push(...found.strangers);
  }
  return { kind: 'broker', path, topics, partitions, strangers };
}

async function partitionsIn(
  disk: ReadingDisk,
  directory: string,
  topicId: string | undefined,
  names: readonly string[],
): Promise<{ partitions: PartitionPlace[]; strangers: string[] }> {
  const partitions: PartitionPlace[] = [];
  const strangers: string[] = [];
  const numbers = names.filter((name) => PARTITION_NAME.test(name)).sort((one, other) => Number(one) - Number(other));
  for (const name of numbers) {
    const inside = await namesIn(disk, `${directory}/${name}`);
    if (inside === undefined) strangers.push(`${directory}/${name}`);
    else if (topicId !== undefined) {
      partitions.push({ directory: `${directory}/${name}`, topicId, partition: Number(name) });
    } else partitions.push(await placeOf(disk, `${directory}/${name}`, inside));
  }
  for (const name of names) {
    if (name !== 'topic.config' && !PARTITION_NAME.test(name)) strangers.push(`${directory}/${name}`);
  }
  return { partitions, strangers };
}

async function locatePartition(disk: ReadingDisk, path: string, names: readonly string[]): Promise<Location> {
  const place = await placeOf(disk, path, names);
  return { kind: 'partition', path, topics: [], partitions: [place], strangers: [] };
}

async function locateSegment(disk: ReadingDisk, path: string): Promise<Location | undefined> {
  const name = baseName(path);
  const isNamed = parseSegmentName(name)?.kind === 'log';
  let header: SegmentHeader | undefined;
  try {
    header = await readSegmentHeader(disk, path);
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
  if (!isNamed && header === undefined) return undefined;
  const place = await placeOf(disk, parentOf(path), [name]);
  return { kind: 'segment', path, topics: [], partitions: [{ ...place, only: path }], strangers: [] };
}

/** Names win over headers: a file that was copied into a foreign directory is damage. */
async function placeOf(disk: ReadingDisk, directory: string, names: readonly string[]): Promise<PartitionPlace> {
  const partition = baseName(directory);
  const topicId = baseName(parentOf(directory));
  if (isUuid(topicId) && PARTITION_NAME.test(partition)) return { directory, topicId, partition: Number(partition) };
  for (const name of names) {
    const isLog = parseSegmentName(name)?.kind === 'log' || names.length === 1;
    const header = isLog ? await readSegmentHeader(disk, `${directory}/${name}`) : undefined;
    if (header !== undefined) return { directory, topicId: header.topicId, partition: header.partition };
  }
  return { directory, topicId, partition: PARTITION_NAME.test(partition) ? Number(partition) : 0 };
}

/** Names in the directory; undefined when there is none of that name. */
async function namesIn(disk: ReadingDisk, path: string): Promise<string[] | undefined> {
  try {
    return await disk.list(path);
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}

/** True when there is no file, or no directory, of that name. */
function isAbsent(error: unknown): boolean {
  const code = diskErrorCode(error);
  return code === 'ENOENT' || code === 'ENOTDIR' || code === 'EISDIR';
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/'))) || '/';
}
