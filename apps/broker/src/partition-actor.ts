/**
 * One replica on this broker: its log, its state machine, and whoever waits for news of it. Everything that happens to
 * the replica goes through `feed`, one event at a time.
 */
import { headerSeed } from '@partita/batch';
import { invariant, PartitaError } from '@partita/domain';
import type { Clock, TopicPartition } from '@partita/domain';
import type { LogDevice, LogSettings, LogSlice, PartitionLog } from '@partita/log';
import type { IsrEntry, ReplicaInventory, ReplicaMeta } from '@partita/protocol';
import { currentConfig, inSyncIds, lastEpoch, PartitionRunner } from '@partita/replication';
import type {
  FlushMode,
  FollowerSender,
  LeaderLinkPort,
  LeaderRole,
  PartitionState,
  ReplicaChange,
  ReplicaInput,
  SenderSource,
} from '@partita/replication';
import { knownConfigs, replicaConfigRecord, replicaMeta } from './peer-messages.ts';
import { replicaLog } from './replica-log.ts';
import { leaderLog } from './replication/leader-log.ts';
import { RecentBatches } from './replication/recent-batches.ts';
import type { RecentBudget } from './replication/recent-batches.ts';
import type { KnownTopic } from './topic-settings.ts';
import type { ReplicaTraces } from './tracing/replica-traces.ts';

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
  /** Writes a checkpoint that begins from here on: it says of a log about to be cut that no more of it is known. */
  noteCut(): Promise<void>;
  /** Memory for what followers are sent at once. */
  readonly recent: RecentBudget;
  /** True = batches of sampled traces have spans. */
  readonly isTracing: boolean;
  /** Streams to the brokers that lead. */
  linksOf(actor: () => PartitionActor): LeaderLinkPort;
  /** The log is durable up to the offset, which the replica is told next. */
  onDurable(actor: PartitionActor, end: bigint): void;
  /** The replica's role, watermark or log has changed: its next report differs. */
  onChanged(actor: PartitionActor, what: ReplicaChange): void;
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
  readonly traces: ReplicaTraces | undefined;
}

export class PartitionActor implements TopicPartition {
  readonly topicId: string;
  readonly partition: number;
  readonly replicaId: string;
  readonly log: PartitionLog;
  /** Of its batches on their way; undefined when the broker does not trace. */
  readonly traces: ReplicaTraces | undefined;
  /** Of the checksums of the partition's batch headers. */
  readonly seed: number;
  /** The log as a leader's followers see it. */
  readonly senderSource: SenderSource<Uint8Array>;
  readonly #host: ActorHost;
  readonly #runner: PartitionRunner;
  readonly #recent: RecentBatches;
  readonly #meta: { value: ReplicaMeta };
  readonly #senders = new Set<FollowerSender<Uint8Array>>();
  #pumpIsDue = false;
  #topic: KnownTopic;
  /** Where the log is being cut; means something only while the core says that it is. */
  #cutTo: bigint | undefined;
  /** What `noteLogStart` was last called with. */
  #notedStart: bigint;
  readonly #listeners = new Set<() => void>();
  #isClosed = false;
  #isRetired = false;
  /** The journal entry under way, or the last one. */
  #persisting: Promise<void> = Promise.resolve();
  /** True once the log is to be copied anew. */
  isRefetching = false;

  /** Use openActor. */
  constructor(options: ActorOptions, opened: OpenedReplica) {
    const { host, topic, partition } = options;
    const { log, state, meta } = opened;
    this.topicId = topic.config.topicId;
    this.partition = partition;
    this.replicaId = meta.value.replicaId;
    this.#topic = topic;
    this.#meta = meta;
    this.#host = host;
    this.#notedStart = log.logStart;
    this.log = log;
    this.traces = opened.traces;
    this.seed = headerSeed(this.topicId, partition);
    this.#recent = new RecentBatches(host.recent);
    this.senderSource = leaderLog(log, this.#recent, (error) => this.#reportDamage(error));
    this.#runner = new PartitionRunner({
      state,
      log: replicaLog({
        log,
        seed: this.seed,
        brokerId: host.brokerId,
        knownConfigs: () => knownConfigs(meta.value),
        afterInstall: async (logStart) => {
          if (this.#isRetired) return;
          this.#notedStart = logStart;
          await host.noteLogStart(this, logStart);
        },
        trim: (toOffset) => void this.trim(toOffset).catch((error: unknown) => this.#onTrimFailed(error)),
      }),
      links: host.linksOf(() => this),
      clock: host.clock,
      journal: {
        persist: (decided) => {
          if (this.#isRetired) return Promise.resolve();
          const next = replicaMeta(meta.value, decided, this.state.configs);
          this.#persisting = host.persist(this, next).then(() => {
            meta.value = next;
          });
          return this.#persisting;
        },
      },
      observer: {
        onChanged: (what) => this.#onChanged(what),
        onAppended: (batch, planned) => {
          this.traces?.onAppended(batch, planned);
          if (this.#senders.size === 0) return;
          const { baseOffset } = planned.stamp;
          this.#recent.push(batch, baseOffset, baseOffset + BigInt(planned.recordCount));
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

  /** True when this replica, or this run of it, is over while the partition and its topic go on. */
  get isRetired(): boolean {
    return this.#isRetired;
  }

  feed(input: ReplicaInput): void {
    this.#runner.feed(input);
  }

  /** The journal entry as it is durable. */
  get meta(): ReplicaMeta {
    return this.#meta.value;
  }

  /** Damage was found: resolves when the replica is suspect, durably, or has stopped by itself. */
  async becomeSuspect(): Promise<void> {
    this.feed({ kind: 'damaged' });
    while (!this.#meta.value.suspect && !this.#runner.isStopped && !this.#isClosed) {
      await new Promise<void>((resolve) => {
        const stop = this.onChange(() => {
          stop();
          resolve();
        });
      });
    }
  }

  /** How far the log is durable, for the checkpoint: what is about to be cut off no longer counts. */
  get checkpointEnd(): bigint {
    const { durableEnd, isCutting } = this.state;
    return isCutting && this.#cutTo !== undefined && this.#cutTo < durableEnd ? this.#cutTo : durableEnd;
  }

  /** Makes durable that the log, which is being cut, ends at the offset. */
  async noteCut(toOffset: bigint): Promise<void> {
    this.#cutTo = toOffset;
    this.traces?.onCut(toOffset, { type: 'TRUNCATED', message: 'cut off: the new leader does not have it' });
    await this.#host.noteCut();
  }

  /** A follower is sent what is appended from here on. */
  addSender(sender: FollowerSender<Uint8Array>): void {
    this.#senders.add(sender);
  }

  removeSender(sender: FollowerSender<Uint8Array>): void {
    this.#senders.delete(sender);
    if (this.#senders.size === 0) this.#recent.clear();
    // What only it still needed is given back.
    else this.wakeSenders();
  }

  /** More of the log is durable: what is not in memory can be read now. */
  wakeSenders(): void {
    if (this.#pumpIsDue || this.#senders.size === 0) return;
    this.#pumpIsDue = true;
    // All that is appended in this turn of the event loop goes into the same messages.
    queueMicrotask(() => {
      this.#pumpIsDue = false;
      let lowest = this.state.logEnd;
      for (const sender of this.#senders) {
        sender.pump();
        if (sender.isCurrent && sender.nextOffset < lowest) lowest = sender.nextOffset;
      }
      this.#recent.dropBelow(lowest);
      this.traces?.onSent(lowest);
    });
  }

  #onChanged(what: ReplicaChange): void {
    if (what !== 'followed') this.wakeSenders();
    if (what === 'role' && this.leader === undefined) this.#recent.clear();
    this.traces?.onChanged(this.state, what);
    this.#host.onChanged(this, what);
    if (what === 'high-watermark' || what === 'role') for (const listener of this.#listeners) listener();
  }

  #reportDamage(error: unknown): void {
    if (error instanceof PartitaError && error.reason === 'CORRUPT_BATCH') this.#host.onDamaged(this, error);
  }

  /** A log that was closed or has failed says so elsewhere. */
  #onTrimFailed(error: unknown): void {
    if (!(error instanceof PartitaError)) this.#host.onStopped(this, error);
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
      this.#reportDamage(error);
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
    this.feed({ kind: 'trimmed', logStart: this.log.logStart });
    this.#host.onChanged(this, 'log-end');
  }

  /** Stops appends and reads, then the log. False when not everything is on disk. */
  async close(clean: boolean): Promise<boolean> {
    this.#isClosed = true;
    this.#recent.clear();
    this.traces?.close();
    for (const listener of this.#listeners) listener();
    return this.log.close({ clean });
  }

  /**
   * Ends the replica for good: whoever waits is answered, and nothing of it reaches the journal any more once this resolves.
   * What is on disk stays as it is.
   */
  async retire(): Promise<void> {
    this.#isRetired = true;
    this.#isClosed = true;
    this.#runner.end();
    // A journal that fails ends the broker.
    await this.#persisting.catch(() => undefined);
    await this.close(false);
  }

  /** The in-sync set as coordinators are told of it; undefined when nothing is led here. */
  inSyncReport(): IsrEntry | undefined {
    const { leader } = this;
    if (leader === undefined) return undefined;
    const { topicId, partition } = this;
    const { epoch: leaderEpoch, inSyncVersion: isrVersion } = leader;
    return { topicId, partition, leaderEpoch, isrVersion, inSyncIds: inSyncIds(this.state, leader) };
  }

  /** The replica as coordinators are told of it. */
  inventory(): ReplicaInventory {
    const { meta, role, history, durableEnd, highWatermark, following, configs } = this.state;
    // What the journal knows: replicas are made and deleted by what is reported here.
    const config = configs.find(({ version }) => version <= meta.configFloor) ?? currentConfig(this.state);
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
      config: replicaConfigRecord(config),
      configFloor: meta.configFloor,
      leadingEpoch: role.kind === 'leader' ? role.epoch : 0,
      logBytes: BigInt(this.log.bytes + this.log.queuedBytes),
      followingId: following?.phase === 'live' ? following.leaderId : 0,
    };
  }
}

/** What the topic says of the logs of its partitions. */
export function logSettings(topic: KnownTopic, flush: FlushMode): LogSettings {
  const { segmentBytes, segmentAgeMsMax } = topic.settings;
  return { segmentBytesMax: segmentBytes, segmentAgeMsMax, flush };
}
