/** Between the contract's messages and the words of @partita/replication, which does not know the contract. */
import { PartitaError } from '@partita/domain';
import { FlushMode, ReplicaConfigRecord } from '@partita/protocol';
import type { ReplicaMeta } from '@partita/protocol';
import { configFault } from '@partita/replication';
import type { DurableMeta, ReplicaConfig } from '@partita/replication';

/** A replica set from a message, checked. */
export function replicaConfig(record: ReplicaConfigRecord | undefined): ReplicaConfig {
  if (record === undefined) throw invalid('config', '', 'a replica set');
  const config: ReplicaConfig = {
    version: record.configVersion,
    replicas: record.replicas,
    learners: record.learners,
    minInSyncReplicas: record.minInSyncReplicas,
    flush: record.flush === FlushMode.FLUSH_MODE_OS ? 'os' : 'fsync',
  };
  const fault = configFault(config);
  if (fault !== undefined) throw invalid('config', fault, 'a sound replica set');
  return config;
}

/** A replica set as a message. */
export function replicaConfigRecord(config: ReplicaConfig): ReplicaConfigRecord {
  return {
    configVersion: config.version,
    replicas: [...config.replicas],
    learners: [...config.learners],
    minInSyncReplicas: config.minInSyncReplicas,
    flush: config.flush === 'os' ? FlushMode.FLUSH_MODE_OS : FlushMode.FLUSH_MODE_FSYNC,
  };
}

/** What the core keeps of a journal entry. */
export function durableMeta(meta: ReplicaMeta): DurableMeta {
  return {
    promisedEpoch: meta.promisedEpoch,
    grantNonce: Buffer.from(meta.grantNonce).toString('hex'),
    ledEpoch: meta.ledEpoch,
    suspect: meta.suspect,
    configFloor: meta.configFloor,
  };
}

/** A journal entry with what the core has decided; the rest stays. */
export function replicaMeta(meta: ReplicaMeta, decided: DurableMeta): ReplicaMeta {
  return {
    ...meta,
    promisedEpoch: decided.promisedEpoch,
    grantNonce: Buffer.from(decided.grantNonce, 'hex'),
    ledEpoch: decided.ledEpoch,
    suspect: decided.suspect,
    configFloor: decided.configFloor,
  };
}

function invalid(field: string, value: string, range: string): PartitaError {
  return new PartitaError('INVALID_REQUEST', `${field} must be ${range}${value === '' ? '' : `: ${value}`}`, {
    field,
    value,
    range,
  });
}
