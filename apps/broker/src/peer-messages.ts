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

/** The sets that a replica knows of without its log, newest first: the newest that is committed, the one it was made with. */
export function knownConfigs({
  committedConfig,
  initialConfig,
}: ReplicaMeta): readonly [ReplicaConfig, ...ReplicaConfig[]] {
  const initial = replicaConfig(initialConfig);
  return committedConfig === undefined ? [initial] : [replicaConfig(committedConfig), initial];
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

/** A journal entry with what the core has decided; the rest stays. `configs`: those that the core knows. */
export function replicaMeta(meta: ReplicaMeta, decided: DurableMeta, configs: readonly ReplicaConfig[]): ReplicaMeta {
  return {
    ...meta,
    promisedEpoch: decided.promisedEpoch,
    grantNonce: Buffer.from(decided.grantNonce, 'hex'),
    ledEpoch: decided.ledEpoch,
    suspect: decided.suspect,
    configFloor: decided.configFloor,
    committedConfig: committedConfig(meta, decided.configFloor, configs),
  };
}

/** What is kept of the newest committed config: nothing where it is the one that the replica was made with. */
function committedConfig(
  { initialConfig, committedConfig: before }: ReplicaMeta,
  floor: number,
  configs: readonly ReplicaConfig[],
): ReplicaConfigRecord | undefined {
  if (initialConfig?.configVersion === floor || before?.configVersion === floor) return before;
  const config = configs.find(({ version }) => version === floor);
  return config === undefined ? before : replicaConfigRecord(config);
}

function invalid(field: string, value: string, range: string): PartitaError {
  return new PartitaError('INVALID_REQUEST', `${field} must be ${range}${value === '' ? '' : `: ${value}`}`, {
    field,
    value,
    range,
  });
}
