/** What the control records of a log say to a replica: its configs and who has claimed it. */
import { BATCH_EPOCH_START } from '@partita/batch';
import type { ControlRecord, LogState } from '@partita/log';
import { ClaimRecord, EpochStartRecord, ReplicaConfigRecord } from '@partita/protocol';
import type { Claim, ReplicaConfig } from '@partita/replication';
import { replicaConfig } from './peer-messages.ts';

const NO_CLAIM: Claim = { epoch: 0, instanceId: '' };

export interface ReplicaFold {
  /** Newest first, each version once. A replica may be made with a newer one than the log that it copies begins with. */
  readonly configs: readonly ReplicaConfig[];
  /** Behind the last data record. */
  readonly dataEnd: bigint;
  readonly claim: Claim;
}

/** Reads the state of a log; `known` are the configs that are known without it. */
export function replicaFold(state: LogState, known: readonly ReplicaConfig[]): ReplicaFold {
  const byVersion = new Map<number, ReplicaConfig>();
  for (const config of [...state.configs.map(configOf), ...known]) {
    if (!byVersion.has(config.version)) byVersion.set(config.version, config);
  }
  const configs = [...byVersion.values()].sort((a, b) => b.version - a.version);
  const { claim, dataEnd } = state;
  return { configs, dataEnd, claim: claim === undefined ? NO_CLAIM : claimOf(claim) };
}

function configOf({ type, content }: ControlRecord): ReplicaConfig {
  return replicaConfig(
    type === BATCH_EPOCH_START ? EpochStartRecord.decode(content).config : ReplicaConfigRecord.decode(content),
  );
}

function claimOf({ content }: ControlRecord): Claim {
  const { claimEpoch, instanceId } = ClaimRecord.decode(content);
  return { epoch: claimEpoch, instanceId };
}
