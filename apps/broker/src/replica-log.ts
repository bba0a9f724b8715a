/** The log of one replica as the core of replication uses it. */
import { BATCH_CONFIG, BATCH_EPOCH_START, buildControlBatch, stampBatch } from '@partita/batch';
import { asPartitaError } from '@partita/domain';
import type { PartitaError } from '@partita/domain';
import type { PartitionLog } from '@partita/log';
import { EpochStartRecord, ReplicaConfigRecord } from '@partita/protocol';
import type { LogFacts, PartitionLogPort, ReplicaConfig, Stamp } from '@partita/replication';
import { replicaFold } from './log-fold.ts';
import { replicaConfigRecord } from './peer-messages.ts';

/** What the core has to know of a log. `known`: the configs that are known without it. */
export function logFacts(log: PartitionLog, known: readonly ReplicaConfig[]): LogFacts {
  return {
    ...replicaFold(log.state, known),
    history: log.epochHistory.map((start) => ({ ...start })),
    logStart: log.logStart,
    logEnd: log.logEnd,
    lastAppendTimeMs: log.lastAppendTimeMs,
    producers: log.state.producers,
  };
}

export interface ReplicaLogOptions {
  readonly log: PartitionLog;
  /** Of the partition's header checksums. */
  readonly seed: number;
  /** Broker of this replica. */
  readonly brokerId: number;
  /** The configs that are known without the log, as they are now. */
  readonly knownConfigs: () => readonly ReplicaConfig[];
  /** Makes durable where the log begins now. */
  readonly afterInstall: (logStart: bigint) => Promise<void>;
  readonly trim: (toOffset: bigint) => void;
}

export function replicaLog(options: ReplicaLogOptions): PartitionLogPort {
  const { log, seed, brokerId, knownConfigs } = options;
  const attempt = (work: () => void): PartitaError | undefined => {
    try {
      work();
      return undefined;
    } catch (error) {
      return asPartitaError(error);
    }
  };
  const append = (batch: Uint8Array, stamp: Stamp) => {
    stampBatch(batch, stamp, seed);
    return attempt(() => log.append(batch));
  };
  return {
    append,
    appendEpochStart: (stamp, config, unclean) => {
      const { leaderEpoch } = stamp;
      const record = { leaderEpoch, leaderId: brokerId, config: replicaConfigRecord(config), unclean };
      return append(buildControlBatch(BATCH_EPOCH_START, EpochStartRecord.encode(record).finish()), stamp);
    },
    appendConfig: (stamp, config) => {
      const record = ReplicaConfigRecord.encode(replicaConfigRecord(config)).finish();
      return append(buildControlBatch(BATCH_CONFIG, record), stamp);
    },
    store: ({ batch }) => attempt(() => log.appendReplicated(batch)),
    cut: async (toOffset) => {
      await log.truncate(toOffset);
      return logFacts(log, knownConfigs());
    },
    install: async (baseOffset, content) => {
      await log.restart(baseOffset, content);
      await options.afterInstall(baseOffset);
      return logFacts(log, knownConfigs());
    },
    trim: options.trim,
  };
}
