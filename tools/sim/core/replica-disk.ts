/** What one replica has on its disk: log, journal entry, checkpoint. Outlives the process; a crash decides what of it stays. */
import type { DurableMeta, LogFacts, ReplicaConfig, ReplicaIdentity, Stamp } from '@partita/replication';
import { baseBehind, configsOf, EMPTY_BASE, historyOf, producersOf } from './stored-batch.ts';
import type { LogBase, StoredBatch } from './stored-batch.ts';

const NO_CLAIM = { epoch: 0, instanceId: '' };

export class ReplicaDisk {
  readonly identity: ReplicaIdentity;
  /** With which it was made. */
  readonly config: ReplicaConfig;
  base: LogBase = EMPTY_BASE;
  logStart = 0n;
  /** All that the process has appended, durable or not. */
  batches: StoredBatch[] = [];
  /** Batches that outlive a kill of the process. */
  durableCount = 0;
  /** Batches that outlive a power cut; fewer than `durableCount` only when the page cache counts as durable. */
  safeCount = 0;
  meta: DurableMeta;
  checkpoint = 0n;
  /** Highest watermark that this replica ever knew, through all its lives. */
  highWatermarkMax = 0n;
  /** Damage was found in its log; the journal may not say so yet. */
  isDamaged = false;
  /** How often its log was dropped for a snapshot of the leader's. */
  installCount = 0;
  /** Batches that counted as durable and went with a power cut: their leaders may still count on them. */
  readonly lost = new Set<StoredBatch>();

  constructor(identity: ReplicaIdentity, config: ReplicaConfig) {
    this.identity = identity;
    this.config = config;
    this.meta = {
      promisedEpoch: 0,
      grantNonce: '',
      ledEpoch: 0,
      suspect: false,
      configFloor: config.version,
    };
  }

  /** Neither counts nor leads, or soon will not. */
  get isSuspect(): boolean {
    return this.meta.suspect || this.isDamaged;
  }

  get tip(): StoredBatch | undefined {
    return this.batches.at(-1) ?? this.base.tip;
  }

  get end(): bigint {
    return this.batches.at(-1)?.endOffset ?? this.base.offset;
  }

  get durableEnd(): bigint {
    return this.batches[this.durableCount - 1]?.endOffset ?? this.base.offset;
  }

  /** Index of the first batch that ends above the offset. */
  indexAbove(offset: bigint): number {
    let index = this.batches.length;
    while (index > 0 && (this.batches[index - 1]?.endOffset ?? 0n) > offset) index -= 1;
    return index;
  }

  /** True when the batch is durable here, or was before the log's first segments went. */
  holds(batch: StoredBatch): boolean {
    if (batch.endOffset <= this.base.offset) return true;
    const index = this.indexAbove(batch.baseOffset);
    return index < this.durableCount && this.batches[index] === batch;
  }

  /** Keeps the first `count` batches, all durable from now on. */
  keep(count: number): void {
    this.batches.length = count;
    this.durableCount = count;
    this.safeCount = Math.min(this.safeCount, count);
    if (this.config.flush === 'fsync') this.safeCount = count;
  }

  cutTo(offset: bigint): void {
    this.keep(this.indexAbove(offset));
  }

  /** What lay here was below the leader's log start: m others hold all of that and more, so the watermark may fall here. */
  replace(base: LogBase): void {
    this.installCount += 1;
    if (this.highWatermarkMax > base.offset) this.highWatermarkMax = base.offset;
    this.base = base;
    this.batches = [];
    this.keep(0);
    this.logStart = base.offset;
  }

  /** Deletes what lies below: the start moves, whole batches up to `baseCount` go with their segment. */
  trim(logStart: bigint, baseCount: number): void {
    this.logStart = logStart;
    this.base = baseBehind(this.base, this.batches.slice(0, baseCount));
    this.batches = this.batches.slice(baseCount);
    this.durableCount -= baseCount;
    this.safeCount = Math.max(0, this.safeCount - baseCount);
  }

  /** Newest first: those of the log, and the one that it was made with. */
  get configs(): readonly ReplicaConfig[] {
    const { base, batches, config } = this;
    const known = configsOf(base, batches).filter(({ version }) => version !== config.version);
    return [...known, config].sort((a, b) => b.version - a.version);
  }

  /** The newest that the journal knows to be committed. */
  get committedConfig(): ReplicaConfig {
    return this.configs.find(({ version }) => version <= this.meta.configFloor) ?? this.config;
  }

  facts(): LogFacts {
    const { base, batches, configs, logStart } = this;
    let dataEnd = base.dataEnd;
    for (const batch of batches) if (batch.control === undefined) dataEnd = batch.endOffset;
    return {
      configs,
      history: historyOf(base, batches),
      logStart,
      logEnd: this.end,
      dataEnd,
      claim: NO_CLAIM,
      lastAppendTimeMs: this.tip?.appendTimeMs ?? 0n,
      producers: producersOf(base, batches),
    };
  }
}

/** True when the append lies in the log as its stamp says, or lay below the log's first segment. */
export function isStoredAs(disk: ReplicaDisk, appendId: number, stamp: Stamp): boolean {
  if (stamp.baseOffset < disk.base.offset) return true;
  const stored = disk.batches[disk.indexAbove(stamp.baseOffset)];
  return (
    stored?.baseOffset === stamp.baseOffset &&
    stored.appendId === appendId &&
    stored.leaderEpoch === stamp.leaderEpoch &&
    stored.appendTimeMs === stamp.appendTimeMs
  );
}

/** The first committed batch that the leader's log does not hold in its place, where that log still has one. */
export function differingBatch(disk: ReplicaDisk, below: bigint, leader: ReplicaDisk): StoredBatch | undefined {
  const held = new Set(leader.batches);
  return disk.batches.find(
    (batch) => batch.endOffset <= below && batch.endOffset > leader.base.offset && !held.has(batch),
  );
}
