/**
 * A partition's line in the directory: who owns it, at which epoch.
 *
 * Stored as JSON text, a field of the hash `part:<topic id>` named by the partition's number, members always in this
 * order and without spaces:
 *
 *   {"configVersion":1,"replicas":[{"brokerId":1,"dirUuid":"…","replicaId":"…"}],"leader":1,"epoch":3,"isr":[1],
 *    "isrVersion":2,"status":"online","updatedMs":1760000000000,
 *    "config":{"learners":[],"minInSync":1,"flush":"fsync"}}
 *
 * What stands before `,"status"` is the ownership. The script that publishes compares it as bytes, so one version
 * (epoch, configVersion, isrVersion) never stands for two owners, while the status may change under one version. `config` is
 * the rest of what configVersion stands for; entries of releases that changed no replica sets lack it.
 */
import { field, list, oneOf, parseJson, STORED_ID_MAX, STORED_VERSION_MAX, text, whole } from './stored-fields.ts';
import type { Stored } from './stored-fields.ts';
import { FLUSH_MODES } from './topic-entry.ts';
import type { FlushMode } from './topic-entry.ts';

export const PARTITION_STATUSES = ['online', 'electing', 'offline', 'lossy'] as const;
export type PartitionStatus = (typeof PARTITION_STATUSES)[number];

/** A replica's identity: a fresh disk under an old broker id, or a replica made again, is another one. */
export interface ReplicaIdentity {
  readonly brokerId: number;
  readonly dirUuid: string;
  readonly replicaId: string;
}

export interface PartitionEntry {
  readonly configVersion: number;
  readonly replicas: readonly ReplicaIdentity[];
  /** Broker id of the leader; 0 when there is none. */
  readonly leader: number;
  readonly epoch: number;
  /** Broker ids of the in-sync set, as the leader reported it. */
  readonly isr: readonly number[];
  readonly isrVersion: number;
  readonly status: PartitionStatus;
  /** When the coordinator wrote it, milliseconds UTC. For people only. */
  readonly updatedMs: number;
  /** What else belongs to the replica set of this version. */
  readonly config?:
    | {
        readonly learners: readonly ReplicaIdentity[];
        readonly minInSync: number;
        readonly flush: FlushMode;
      }
    | undefined;
}

/** The stored text and the bytes of it that are the ownership. */
export function encodePartitionEntry(entry: PartitionEntry): { text: string; ownershipBytes: number } {
  const { configVersion, leader, epoch, isr, isrVersion, status, updatedMs, config } = entry;
  const replicas = entry.replicas.map(identity);
  const ownership = JSON.stringify({ configVersion, replicas, leader, epoch, isr, isrVersion }).slice(0, -1);
  const learners = config?.learners.map(identity);
  const more = config && { learners, minInSync: config.minInSync, flush: config.flush };
  const rest = JSON.stringify({ status, updatedMs, config: more }).slice(1);
  return { text: `${ownership},${rest}`, ownershipBytes: Buffer.byteLength(ownership) };
}

/** `where` names the key and field, for the error. */
export function decodePartitionEntry(where: string, stored: string): PartitionEntry {
  const entry = parseJson(where, stored);
  return {
    configVersion: whole(field(entry, 'configVersion'), 0, STORED_VERSION_MAX),
    replicas: list(field(entry, 'replicas'), storedIdentity),
    leader: whole(field(entry, 'leader'), 0, STORED_ID_MAX),
    epoch: whole(field(entry, 'epoch'), 0, STORED_VERSION_MAX),
    isr: list(field(entry, 'isr'), (id) => whole(id, 1, STORED_ID_MAX)),
    isrVersion: whole(field(entry, 'isrVersion'), 0, STORED_VERSION_MAX),
    status: oneOf(field(entry, 'status'), PARTITION_STATUSES),
    updatedMs: whole(field(entry, 'updatedMs')),
    ...decodeConfig(field(entry, 'config')),
  };
}

function decodeConfig(config: Stored): Pick<PartitionEntry, 'config'> {
  if (config.value === undefined) return {};
  return {
    config: {
      learners: list(field(config, 'learners'), storedIdentity),
      minInSync: whole(field(config, 'minInSync'), 1, STORED_ID_MAX),
      flush: oneOf(field(config, 'flush'), FLUSH_MODES),
    },
  };
}

function identity({ brokerId, dirUuid, replicaId }: ReplicaIdentity): ReplicaIdentity {
  return { brokerId, dirUuid, replicaId };
}

function storedIdentity(replica: Stored): ReplicaIdentity {
  return {
    brokerId: whole(field(replica, 'brokerId'), 1, STORED_ID_MAX),
    dirUuid: text(field(replica, 'dirUuid')),
    replicaId: text(field(replica, 'replicaId')),
  };
}

/** Negative, zero or positive as `a` is older than, as old as, or newer than `b`: (epoch, config, isr) in this order. */
export function comparePartitionVersions(a: PartitionEntry, b: PartitionEntry): number {
  return a.epoch - b.epoch || a.configVersion - b.configVersion || a.isrVersion - b.isrVersion;
}
