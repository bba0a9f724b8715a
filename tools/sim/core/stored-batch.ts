/**
 * A batch as all logs share it: one object for one append of one leader. Two logs agree at an offset exactly when they hold
 * the same object there, and each knows what it was appended behind, so a log that matches is a chain of these.
 */
import { CONFIG_RECORD_COUNT, NO_PRODUCERS, ProducerTable } from '@partita/domain';
import type { ProducerFacts } from '@partita/domain';
import type { EpochStart, ReplicaConfig, ReplicatedBatch } from '@partita/replication';

export interface StoredBatch extends ReplicatedBatch {
  /** Number of the append that it holds; 0 = the first record of an epoch. */
  readonly appendId: number;
  /** What lay in front of it in the log of the leader that appended it. */
  readonly previous: StoredBatch | undefined;
  /** Epoch whose leader first counted it as committed; 0 = none has. */
  committedIn: number;
}

/** What a log knows of the time before its first batch: the snapshot of its first segment. */
export interface LogBase {
  readonly offset: bigint;
  readonly history: readonly EpochStart[];
  readonly dataEnd: bigint;
  readonly lastAppendTimeMs: bigint;
  readonly producers: ProducerFacts;
  /** Newest first. */
  readonly configs: readonly ReplicaConfig[];
  /** The batch in front. */
  readonly tip: StoredBatch | undefined;
}

export const EMPTY_BASE: LogBase = {
  offset: 0n,
  history: [],
  dataEnd: 0n,
  lastAppendTimeMs: 0n,
  producers: NO_PRODUCERS,
  configs: [],
  tip: undefined,
};

export const NO_BYTES = new Uint8Array(0);

/** The base that a log has when its first batches are gone. */
export function baseBehind(base: LogBase, gone: readonly StoredBatch[]): LogBase {
  const last = gone.at(-1);
  if (last === undefined) return base;
  let dataEnd = base.dataEnd;
  for (const batch of gone) if (batch.control === undefined) dataEnd = batch.endOffset;
  return {
    offset: last.endOffset,
    history: historyOf(base, gone),
    dataEnd,
    lastAppendTimeMs: last.appendTimeMs,
    producers: producersOf(base, gone),
    configs: configsOf(base, gone),
    tip: last,
  };
}

export function historyOf(base: LogBase, batches: readonly StoredBatch[]): readonly EpochStart[] {
  const history = [...base.history];
  let epoch = history.at(-1)?.epoch ?? 0;
  for (const { leaderEpoch, baseOffset, control } of batches) {
    if (leaderEpoch === epoch) continue;
    epoch = leaderEpoch;
    const unclean = control?.kind === 'epoch-start' && control.unclean;
    history.push({ epoch, startOffset: baseOffset, unclean });
  }
  return history;
}

/** The sessions and requests that have not expired at the last of the batches behind the base. */
export function producersOf(base: LogBase, batches: readonly StoredBatch[]): ProducerFacts {
  const table = new ProducerTable(base.producers);
  for (const { producer, baseOffset, appendTimeMs } of batches) {
    if (producer !== undefined) table.note(producer, baseOffset, appendTimeMs);
  }
  return table.facts(batches.at(-1)?.appendTimeMs ?? base.lastAppendTimeMs);
}

/** The configs that the log knows, newest first; the newest is repeated at each epoch's beginning. */
export function configsOf(base: LogBase, batches: readonly StoredBatch[]): readonly ReplicaConfig[] {
  let configs = base.configs;
  for (const { control } of batches) {
    if (control === undefined || control.kind === 'claim') continue;
    const { config } = control;
    if (config.version > (configs[0]?.version ?? 0)) configs = [config, ...configs].slice(0, CONFIG_RECORD_COUNT);
  }
  return configs;
}

/** The new config of the batch, when it is the record of a change. */
export function changeOf({ control }: StoredBatch): ReplicaConfig | undefined {
  return control?.kind === 'config' ? control.config : undefined;
}

/** True when the batch lies in the log that ends with `tip`. */
export function isInChain(batch: StoredBatch, tip: StoredBatch): boolean {
  let at: StoredBatch | undefined = tip;
  while (at !== undefined && at.baseOffset > batch.baseOffset) at = at.previous;
  return at === batch;
}
