/**
 * One replica on this broker: its log, its state machine, and whoever waits for news of it. Everything that happens to
 * the replica goes through `feed`, one event at a time.
 */
import { BATCH_EPOCH_START, buildControlBatch, headerSeed, stampBatch } from '@partita/batch';
import { asPartitaError, invariant, PartitaError } from '@partita/domain';
import type { Clock, TopicPartition } from '@partita/domain';
import { openPartitionLog } from '@partita/log';
import type { LogDevice, LogSettings, LogSlice, PartitionLog } from '@partita/log';
import { EpochStartRecord } from '@partita/protocol';
import type { ReplicaInventory, ReplicaMeta } from '@partita/protocol';
import { currentConfig, lastEpoch, PartitionRunner, recoveredState } from '@partita/replication';
import type {
  FlushMode,
  LeaderRole,
  PartitionLogPort,
  PartitionState,
  ReplicaInput,
  Stamp,
} from '@partita/replication';
import { replicaFold } from './log-fold.ts';
import { durableMeta, replicaConfig, replicaConfigRecord, replicaMeta } from './peer-messages.ts';
import type { KnownTopic } from './topic-settings.ts';

/** What an actor needs of its broker. */
export interface ActorHost {
  readonly device: LogDevice;
  readonly clock: Clock;
  readonly clusterId: string;
  readonly brokerId: number;
  readonly directoryId: string;
  /** Makes the replica's journal entry durable. */
  persist(partition: TopicPartition, meta: ReplicaMeta): Promise<void>;
  /** Makes durable that records below the offset are deleted. Calls for one partition take effect in their order. */
  noteLogStart(partition: TopicPartition, logStart: bigint): Promise<void>;
  /** The replica's role, watermark or log has changed: its next report differs. */
  onChanged(actor: PartitionActor): void;
  /** What is on disk of the log is not what was written there. */
  onDamaged(partition: TopicPartition, error: PartitaError): void;
  /** The disk of the log failed. */
  onStorageFailed(error: PartitaError): void;
  /** The replica has stopped by itself: a bug, or the journal failed. */
  onStopped(actor: PartitionActor, error: unknown): void;
}

export interface ActorOptions {
  readonly host: ActorHost;
  readonly topic: KnownTopic;
  readonly partition: number;
  /** `<data>/<topic id>/<partition>`. */
  readonly dir: string;
  readonly meta: ReplicaMeta;
  readonly cleanShutdown: boolean;
  /** From the last checkpoint; 0 when there is none. */
  readonly knownSynced: bigint;
  readonly highWatermark: bigint;
  /** Records below were deleted. */
  readonly logStart: bigint;
}

/** What recovery made of a replica's files. */
interface OpenedReplica {
  readonly log: PartitionLog;
  readonly state: PartitionState;
  /** The journal entry as it is durable. */
  readonly meta: { value: ReplicaMeta };
}

export class PartitionActor implements TopicPartition {
  readonly topicId: string;
  readonly partition: number;
  readonly replicaId: string;
  readonly log: PartitionLog;
  readonly #host: ActorHost;
  readonly #runner: PartitionRunner;
  #topic: KnownTopic;
  /** What `noteLogStart` was last called with. */
  #notedStart: bigint;
  readonly #listeners = new Set<() => void>();
  #isClosed = false;

  /** Use openActor. */
  constructor(options: ActorOptions, opened: OpenedReplica) {
    const { host, topic, partition } = options;
    const { log, state, meta } = opened;
    this.topicId = topic.config.topicId;
    this.partition = partition;
    this.replicaId = meta.value.replicaId;
    this.#topic = topic;
    this.#host = host;
    this.#notedStart = log.logStart;
    this.log = log;
    this.#runner = new PartitionRunner({
      state,
      log: logPort(log, headerSeed(this.topicId, partition), host.brokerId),
      clock: host.clock,
      journal: {
        persist: async (decided) => {
          const next = replicaMeta(meta.value, decided);
          await host.persist(this, next);
          meta.value = next;
        },
      },
      observer: {
        onChanged: () => {
          host.onChanged(this);
          for (const listener of this.#listeners) listener();
        },
        onStopped: (error) => host.onStopped(this, error),
      },
    });
  }

  get topic(): KnownTopic {
    return this.#topic;
  }

  /** Takes in a newer version of the topic; its settings hold from the next write on. */
  changeTopic(topic: KnownTopic): void {
    this.#topic = topic;
    this.log.changeSettings(logSettings(topic, currentConfig(this.state).flush));
  }

  get state(): Readonly<PartitionState> {
    return this.#runner.state;
  }

  /** The role when it leads and takes requests; undefined otherwise. */
  get leader(): LeaderRole | undefined {
    const { role } = this.#runner.state;
    return role.kind === 'leader' && !this.#runner.isStopped && !this.#isClosed ? role : undefined;
  }

  /** True when the partition was deleted or the broker stops: readers give up. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  feed(input: ReplicaInput): void {
    this.#runner.feed(input);
  }

  /** Calls `listener` after each change of watermark or role, and when the replica is closed; returns how to stop. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Reads committed batches as `PartitionLog.read` does; damage is reported, too, to whom it concerns. */
  async read(fromOffset: bigint, maxBytes: number): Promise<LogSlice> {
    try {
      return await this.log.read(fromOffset, this.state.highWatermark, maxBytes);
    } catch (error) {
      if (error instanceof PartitaError && error.reason === 'CORRUPT_BATCH') this.#host.onDamaged(this, error);
      throw error;
    }
  }

  /**
   * Deletes the records below the offset, which is at most the high watermark: durable when it resolves. Files go after
   * the journal knows, since a crash may keep an older one of them.
   */
  async trim(toOffset: bigint): Promise<void> {
    invariant(toOffset <= this.state.highWatermark, `offset ${toOffset} to trim to is above the high watermark`);
    const before = this.#notedStart;
    // A call that asks for less notes the larger one too: entries take effect in the order of the calls.
    const start = toOffset > before ? toOffset : before;
    this.#notedStart = start;
    try {
      await this.#host.noteLogStart(this, start);
    } catch (error) {
      if (this.#notedStart === start) this.#notedStart = before;
      throw error;
    }
    await this.log.trim(toOffset);
    this.#host.onChanged(this);
  }

  /** Stops appends and reads, then the log. False when not everything is on disk. */
  async close(clean: boolean): Promise<boolean> {
    this.#isClosed = true;
    for (const listener of this.#listeners) listener();
    return this.log.close({ clean });
  }

  /** The replica as coordinators are told of it. */
  inventory(): ReplicaInventory {
    const { meta, role, history, durableEnd, highWatermark } = this.state;
    return {
      topicId: this.topicId,
      partition: this.partition,
      replicaId: this.replicaId,
      promisedEpoch: meta.promisedEpoch,
      lastEpoch: lastEpoch(history),
      logEndOffset: durableEnd,
      highWatermark,
      logStartOffset: this.log.logStart,
      suspect: meta.suspect,
      config: replicaConfigRecord(currentConfig(this.state)),
      configFloor: meta.configFloor,
      leadingEpoch: role.kind === 'leader' ? role.epoch : 0,
      logBytes: BigInt(this.log.bytes + this.log.queuedBytes),
      followingId: 0,
    };
  }
}

/** Recovers a replica; it is a follower until it is told to lead. */
export async function openActor(options: ActorOptions): Promise<PartitionActor> {
  const { host, topic, partition, dir, cleanShutdown, knownSynced, logStart } = options;
  const { topicId } = topic.config;
  const meta = { value: options.meta };
  const config = replicaConfig(options.meta.initialConfig);
  const suspect = async (): Promise<void> => {
    if (meta.value.suspect) return;
    meta.value = { ...meta.value, suspect: true };
    await host.persist({ topicId, partition }, meta.value);
  };
  // The log calls back only for what is appended, and nothing is before the actor exists.
  const opened: { actor?: PartitionActor } = {};
  const log = await openPartitionLog({
    device: host.device,
    dir,
    clusterId: host.clusterId,
    topicId,
    partition,
    settings: logSettings(topic, config.flush),
    cleanShutdown,
    knownSynced,
    logStart,
    onSuspect: () => suspect(),
    onSynced: (end) => opened.actor?.feed({ kind: 'synced', end }),
    onFailed: (error) => {
      opened.actor?.feed({ kind: 'storage-failed', error });
      host.onStorageFailed(error);
    },
  });
  if (log.suspect !== undefined) await suspect();
  // Lost with the end of the log: what is appended from there on must not count as deleted.
  if (logStart > log.logEnd) await host.noteLogStart({ topicId, partition }, log.logEnd);
  const state = recoveredState({
    self: { brokerId: host.brokerId, directoryId: host.directoryId, replicaId: meta.value.replicaId },
    topicId,
    partition,
    meta: durableMeta(meta.value),
    history: log.epochHistory.map((start) => ({ ...start })),
    logStart: log.logStart,
    logEnd: log.logEnd,
    highWatermark: options.highWatermark,
    ...replicaFold(log.state, config),
    lastAppendTimeMs: log.lastAppendTimeMs,
  });
  opened.actor = new PartitionActor(options, { log, state, meta });
  return opened.actor;
}

function logSettings(topic: KnownTopic, flush: FlushMode): LogSettings {
  const { segmentBytes, segmentAgeMsMax } = topic.settings;
  return { segmentBytesMax: segmentBytes, segmentAgeMsMax, flush };
}

function logPort(log: PartitionLog, seed: number, leaderId: number): PartitionLogPort {
  const append = (batch: Uint8Array, stamp: Stamp): PartitaError | undefined => {
    stampBatch(batch, stamp, seed);
    try {
      log.append(batch);
      return undefined;
    } catch (error) {
      return asPartitaError(error);
    }
  };
  return {
    append,
    appendEpochStart: (stamp, config, unclean) => {
      const record = { leaderEpoch: stamp.leaderEpoch, leaderId, config: replicaConfigRecord(config), unclean };
      return append(buildControlBatch(BATCH_EPOCH_START, EpochStartRecord.encode(record).finish()), stamp);
    },
  };
}
