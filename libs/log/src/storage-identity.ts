/**
 * Whose data directory it is: `storage.json`, made once and checked at each start.
 *
 *     {"format_version": 1, "cluster_id": "<uuid>", "broker_id": 1, "dir_uuid": "<uuid>", "incarnation": 7,
 *      "crc": "<8 hex digits, checked-json.ts>"}
 *
 * `dir_uuid` is made with the directory: a fresh disk under an old broker id is another storage, and its replicas are
 * new ones. `incarnation` grows by one at each start, so that messages of an earlier run can be told from this one's.
 */
import { PartitaError } from '@partita/domain';
import type { BrokerId, Random } from '@partita/domain';
import { decodeCheckedJson, encodeCheckedJson } from './checked-json.ts';
import { readFileIfExists } from './disk.ts';
import type { Disk } from './disk.ts';

const FORMAT_VERSION = 1;

export interface StorageIdentity {
  readonly clusterId: string;
  readonly brokerId: number;
  readonly dirUuid: string;
  /** Start number of this broker on this directory, from 1. */
  readonly incarnation: number;
}

export interface StorageIdentityOptions {
  readonly disk: Disk;
  readonly dir: string;
  readonly clusterId: string;
  readonly brokerId: BrokerId;
  readonly random: Random;
}

/**
 * Makes the identity of a new directory (0700), or checks that of an existing one and counts the start. WRONG_CLUSTER for
 * a foreign cluster, INVALID_SETTING for another broker's directory, VERSION_NOT_SUPPORTED for a newer format. Take the
 * directory's lock first.
 */
export async function openStorageIdentity(options: StorageIdentityOptions): Promise<StorageIdentity> {
  const { disk, dir, clusterId, brokerId, random } = options;
  await disk.makeDirectory(dir);
  const path = `${dir}/storage.json`;
  const before = await readStorageIdentity(disk, dir);
  if (before !== undefined) check(before, options);
  const identity: StorageIdentity = {
    clusterId,
    brokerId,
    dirUuid: before?.dirUuid ?? random.uuid(),
    incarnation: (before?.incarnation ?? 0) + 1,
  };
  await disk.writeFileAtomically(path, format(identity));
  return identity;
}

/** The identity as it lies on disk; undefined when there is none. STORAGE_FAILED when damaged, VERSION_NOT_SUPPORTED. */
export async function readStorageIdentity(disk: Disk, dir: string): Promise<StorageIdentity | undefined> {
  const path = `${dir}/storage.json`;
  const stored = await readFileIfExists(disk, path);
  return stored === undefined ? undefined : parse(path, stored);
}

function check(stored: StorageIdentity, options: StorageIdentityOptions): void {
  const { dir, clusterId, brokerId } = options;
  if (stored.clusterId !== clusterId) {
    throw new PartitaError(
      'WRONG_CLUSTER',
      `${dir} belongs to cluster ${stored.clusterId}, this broker to ${clusterId}; point it at its own data directory`,
      { expected: clusterId, found: stored.clusterId },
    );
  }
  if (stored.brokerId !== brokerId) {
    throw new PartitaError(
      'INVALID_SETTING',
      `${dir} belongs to broker ${stored.brokerId}, this is broker ${brokerId}; correct the broker id or the directory`,
      { setting: 'broker_id', expected: String(stored.brokerId), found: String(brokerId) },
    );
  }
}

function format(identity: StorageIdentity): Buffer {
  return encodeCheckedJson({
    format_version: FORMAT_VERSION,
    cluster_id: identity.clusterId,
    broker_id: identity.brokerId,
    dir_uuid: identity.dirUuid,
    incarnation: identity.incarnation,
  });
}

function parse(path: string, bytes: Buffer): StorageIdentity {
  const stored = decodeCheckedJson(bytes);
  const version = stored?.['format_version'];
  if (typeof version === 'number' && version > FORMAT_VERSION) {
    throw new PartitaError(
      'VERSION_NOT_SUPPORTED',
      `${path} has format version ${version}, this broker knows ${FORMAT_VERSION}; run the release that wrote it`,
      { found: String(version), supported: String(FORMAT_VERSION) },
    );
  }
  const clusterId = stored?.['cluster_id'];
  const brokerId = stored?.['broker_id'];
  const dirUuid = stored?.['dir_uuid'];
  const incarnation = stored?.['incarnation'];
  if (
    typeof clusterId === 'string' &&
    typeof brokerId === 'number' &&
    typeof dirUuid === 'string' &&
    typeof incarnation === 'number'
  ) {
    return { clusterId, brokerId, dirUuid, incarnation };
  }
  throw new PartitaError(
    'STORAGE_FAILED',
    `${path} is damaged; restore it, or give the broker an empty data directory`,
    {
      file: path,
    },
  );
}
