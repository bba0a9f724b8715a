/**
 * The log of one partition as a running process has it: a queue in front of a disk that syncs in groups and takes its time,
 * may be full, slow, or fail for good.
 */
import { PartitaError } from '@partita/domain';
import type { LogFacts, PartitionLogPort, ReplicaConfig, ReplicaInput, Stamp } from '@partita/replication';
import type { ReplicatedBatch } from '@partita/replication';
import { decodeAppend } from './append-bytes.ts';
import type { AppendContent } from './append-bytes.ts';
import type { Broker } from './broker.ts';
import { Later } from './later.ts';
import type { ReplicaDisk } from './replica-disk.ts';
import { baseBehind, changeOf, NO_BYTES } from './stored-batch.ts';
import type { LogBase, StoredBatch } from './stored-batch.ts';
import type { World } from './world.ts';

export interface SimulatedLogOptions {
  readonly world: World;
  readonly broker: Broker;
  readonly partition: number;
  readonly disk: ReplicaDisk;
  readonly feed: (input: ReplicaInput) => void;
}

export class SimulatedLog implements PartitionLogPort {
  readonly #options: SimulatedLogOptions;
  #isSyncing = false;
  #hasFailed = false;
  #isClosed = false;
  /** The change under way, which a crash may leave done or not done. */
  #change: (() => void) | undefined;

  constructor(options: SimulatedLogOptions) {
    this.#options = options;
  }

  /** True while a cut or a new beginning is under way. */
  get isChanging(): boolean {
    return this.#change !== undefined;
  }

  close(): void {
    this.#isClosed = true;
  }

  append(batch: Uint8Array, stamp: Stamp): PartitaError | undefined {
    const refusal = this.#refusal();
    if (refusal !== undefined) return refusal;
    this.#lead(stamp, { ...decodeAppend(batch), control: undefined });
    return undefined;
  }

  appendEpochStart(stamp: Stamp, config: ReplicaConfig, unclean: boolean): PartitaError | undefined {
    const refusal = this.#refusal();
    if (refusal !== undefined) return refusal;
    const control = { kind: 'epoch-start', config, unclean } as const;
    const { world, broker, partition, disk } = this.#options;
    const first = this.#lead(stamp, { appendId: 0, recordCount: 1, producer: undefined, control });
    world.oracle(partition).epochBegins(disk, first, unclean);
    broker.leadsNow();
    return undefined;
  }

  appendConfig(stamp: Stamp, config: ReplicaConfig): PartitaError | undefined {
    const refusal = this.#refusal();
    if (refusal !== undefined) return refusal;
    const control = { kind: 'config', config } as const;
    this.#lead(stamp, { appendId: 0, recordCount: 1, producer: undefined, control });
    this.#options.broker.leadsNow();
    return undefined;
  }

  store(batch: ReplicatedBatch): PartitaError | undefined {
    const refusal = this.#refusal();
    if (refusal !== undefined) return refusal;
    const stored = batch as StoredBatch;
    const { world, partition, disk } = this.#options;
    world.oracle(partition).stores(disk, stored);
    this.#take(stored);
    return undefined;
  }

  cut(toOffset: bigint): Promise<LogFacts> {
    const { world, partition, disk } = this.#options;
    world.oracle(partition).cuts(disk, toOffset);
    if (toOffset < disk.end) world.tally.add('truncations');
    if (disk.batches.slice(disk.indexAbove(toOffset)).some((batch) => changeOf(batch) !== undefined))
      world.tally.add('seen: change rolled back by a truncation');
    return this.#changeLater(() => disk.cutTo(toOffset));
  }

  install(baseOffset: bigint, content: Uint8Array | undefined): Promise<LogFacts> {
    const { world, partition, disk } = this.#options;
    const base = world.oracle(partition).snapshots.of(baseOffset, content);
    world.tally.add('logs begun anew');
    if (baseOffset > 0n) world.tally.add('seen: follower started from a snapshot');
    return this.#changeLater(() => disk.replace(base));
  }

  trim(toOffset: bigint): void {
    const { world, broker, disk, feed } = this.#options;
    world.afterOf(broker, this.#delayMs(), () => {
      if (toOffset <= disk.logStart || toOffset > disk.durableEnd || this.#change !== undefined) return;
      // What is deleted for good must not be missed after a power cut: it is on the disk before.
      disk.safeCount = Math.max(disk.safeCount, disk.indexAbove(toOffset - 1n) + 1);
      // Deletes whole segments, so some of what lies below the start stays.
      const whole = disk.batches.filter(({ endOffset }) => endOffset <= toOffset).length;
      disk.trim(toOffset, world.random.between(Math.floor(whole / 2), whole));
      world.tally.add('trims');
      feed({ kind: 'trimmed', logStart: toOffset });
    });
  }

  /** What a snapshot in front of the first segment says. */
  firstBase(): LogBase {
    return baseBehind(this.#options.disk.base, []);
  }

  /** The process is gone: the change under way was done or not. */
  settleChange(): void {
    if (this.#change !== undefined && this.#options.world.random.chance(0.5)) this.#change();
    this.#change = undefined;
  }

  #changeLater(work: () => void): Later<LogFacts> {
    const { world, broker, disk } = this.#options;
    if (disk.durableEnd < disk.end) world.violate('a log is changed while writes are under way');
    const later = new Later<LogFacts>();
    const isFull = broker.isFull && world.random.chance(0.5);
    this.#change = isFull ? undefined : work;
    world.afterOf(broker, this.#delayMs(), () => {
      if (this.#isClosed) return;
      if (isFull) {
        later.reject(new PartitaError('STORAGE_FULL', 'no room'));
        return;
      }
      this.#change = undefined;
      work();
      later.resolve(disk.facts());
    });
    return later;
  }

  #refusal(): PartitaError | undefined {
    if (this.#hasFailed) return new PartitaError('STORAGE_FAILED', 'the disk failed');
    return this.#options.broker.isFull ? new PartitaError('STORAGE_FULL', 'no room') : undefined;
  }

  #lead(
    { baseOffset, leaderEpoch, appendTimeMs }: Stamp,
    what: AppendContent & { readonly control: StoredBatch['control'] },
  ): StoredBatch {
    const { world, partition, disk } = this.#options;
    const { appendId, recordCount, producer, control } = what;
    const batch: StoredBatch = {
      batch: NO_BYTES,
      baseOffset,
      endOffset: baseOffset + BigInt(recordCount),
      leaderEpoch,
      appendTimeMs,
      control,
      producer,
      appendId,
      previous: disk.tip,
      committedIn: 0,
    };
    world.oracle(partition).appends(disk, batch);
    this.#take(batch);
    return batch;
  }

  #take(batch: StoredBatch): void {
    this.#options.disk.batches.push(batch);
    this.#sync();
  }

  #delayMs(): number {
    const { world, broker } = this.#options;
    const { random, plan } = world;
    if (world.nowMs < broker.slowUntilMs) return random.between(300, 4000);
    if (!world.network.isCalm && random.chance(plan.slowSync)) return random.between(50, 1500);
    return 0.1 + (random.word() / 2 ** 32) * plan.syncMsMax;
  }

  /** One sync is under way at a time, and covers what was there when it began. */
  #sync(): void {
    const { world, broker, disk, feed } = this.#options;
    if (this.#isSyncing || this.#hasFailed || disk.durableCount >= disk.batches.length) return;
    this.#isSyncing = true;
    const { end } = disk;
    world.afterOf(broker, this.#delayMs(), () => {
      this.#isSyncing = false;
      if (broker.failsNextSync) {
        broker.failsNextSync = false;
        this.#hasFailed = true;
        broker.dieSoon();
        feed({ kind: 'storage-failed', error: new PartitaError('STORAGE_FAILED', 'the disk failed') });
        return;
      }
      disk.durableCount = disk.indexAbove(end);
      if (disk.config.flush === 'fsync') disk.safeCount = disk.durableCount;
      // What went to the page cache reaches the disk by and by.
      else if (world.random.chance(0.3)) disk.safeCount = world.random.between(disk.safeCount, disk.durableCount);
      this.#sync();
      feed({ kind: 'synced', end });
    });
  }
}
