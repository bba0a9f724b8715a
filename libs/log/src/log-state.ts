/**
 * What the durable batches of a partition add up to, beyond the batches themselves: leader epochs, where the data ends,
 * the newest replica configs and claim, producer sessions. It is a fold of headers and control records and of nothing
 * else, so that every replica gets the same, after a restart, a cut or retention too: state = snapshot of the last
 * segment + the batches behind it. Control records are opaque here; the broker knows what they say.
 */
import {
  appendTimeMsAt,
  baseOffsetAt,
  BATCH_CLAIM,
  BATCH_CONFIG,
  BATCH_DATA,
  BATCH_EPOCH_START,
  batchTypeAt,
  lastOffsetAt,
  leaderEpochAt,
  producerSequenceAt,
  recordsAt,
} from '@partita/batch';
import {
  CONFIG_RECORD_COUNT,
  lastProduced,
  PRODUCER_REPEAT_MS_MAX,
  ProducerTable,
  REQUEST_EXPIRY_MS,
} from '@partita/domain';
import type { ProducerFacts } from '@partita/domain';
import { EpochHistory } from './epoch-history.ts';
import type { ControlRecord, Snapshot } from './snapshot.ts';

export class LogState {
  readonly epochs: EpochHistory;
  #producers: ProducerTable;
  #lastAppendTimeMs: bigint;
  #dataEnd: bigint;
  #configs: readonly ControlRecord[];
  #claim: ControlRecord | undefined;

  /** The state before the first batch behind a snapshot. */
  constructor(before: Snapshot) {
    this.epochs = new EpochHistory(before.epochs);
    this.#producers = new ProducerTable(before.producers);
    this.#lastAppendTimeMs = before.lastAppendTimeMs;
    this.#dataEnd = before.dataEnd;
    this.#configs = before.configs;
    this.#claim = before.claim;
  }

  /** Append time of the last batch, milliseconds UTC; 0 when there never was one. */
  get lastAppendTimeMs(): bigint {
    return this.#lastAppendTimeMs;
  }

  /** Offset behind the last data record; 0 when there never was one. */
  get dataEnd(): bigint {
    return this.#dataEnd;
  }

  /** Newest first: the last EPOCH_START and CONFIG records, both of which hold a replica config, and the last CONFIG records. */
  get configs(): readonly ControlRecord[] {
    return this.#configs;
  }

  /** The last CLAIM record. */
  get claim(): ControlRecord | undefined {
    return this.#claim;
  }

  /** Producer sessions and requests that have not expired by the log's time. */
  get producers(): ProducerFacts {
    return this.#producers.facts(this.#lastAppendTimeMs);
  }

  /** Offsets of the last records of producer sessions: whoever folds these batches knows where each session goes on. */
  get sessionEnds(): readonly bigint[] {
    return this.#producers.entries(this.#lastAppendTimeMs).map((session) => {
      const { baseOffset, firstSequence, lastSequence } = lastProduced(session);
      return baseOffset + lastSequence - firstSequence;
    });
  }

  /** Offset of the oldest batch that its sender may still repeat, at the wall clock's `nowMs`. */
  repeatableFrom(nowMs: number): bigint | undefined {
    const sessionsFromMs = nowMs - PRODUCER_REPEAT_MS_MAX;
    let from = this.#producers.requests.firstOffsetAfter(BigInt(Math.floor(nowMs)) - BigInt(REQUEST_EXPIRY_MS));
    for (const { batches } of this.#producers.entries(this.#lastAppendTimeMs)) {
      for (const { baseOffset, appendTimeMs } of batches) {
        if (Number(appendTimeMs) > sessionsFromMs && (from === undefined || baseOffset < from)) from = baseOffset;
      }
    }
    return from;
  }

  /** Takes in the next durable batch; of a control batch all bytes must be there. */
  note(bytes: Uint8Array, at: number): void {
    if (leaderEpochAt(bytes, at) !== this.epochs.lastEpoch) this.epochs.note(bytes, at);
    this.#lastAppendTimeMs = appendTimeMsAt(bytes, at);
    const type = batchTypeAt(bytes, at);
    if (type === BATCH_DATA) {
      this.#dataEnd = lastOffsetAt(bytes, at) + 1n;
      const sequence = producerSequenceAt(bytes, at);
      if (sequence !== undefined) this.#producers.note(sequence, baseOffsetAt(bytes, at), this.#lastAppendTimeMs);
      return;
    }
    const record: ControlRecord = { type, offset: baseOffsetAt(bytes, at), content: Buffer.from(recordsAt(bytes, at)) };
    if (type === BATCH_CLAIM) {
      // A new claim ends the sessions of the earlier ones. One that is repeated has the same bytes, and may be late.
      if (this.#claim?.content.equals(record.content) !== true) this.#producers = new ProducerTable();
      this.#claim = record;
    }
    if (type === BATCH_EPOCH_START || type === BATCH_CONFIG) {
      this.#configs = withConfig(this.#configs, record);
    }
  }

  /** The state as a snapshot that belongs in front of `baseOffset`. */
  snapshot(baseOffset: bigint): Snapshot {
    return {
      baseOffset,
      lastAppendTimeMs: this.#lastAppendTimeMs,
      dataEnd: this.#dataEnd,
      epochs: [...this.epochs.starts],
      configs: this.#configs,
      claim: this.#claim,
      producers: this.producers,
    };
  }
}

/**
 * The newest records that hold a replica config, newest first, and the newest CONFIG records among those before: each
 * EPOCH_START repeats the newest config, so several in a row must not push out the one before, which may still be in force.
 */
function withConfig(known: readonly ControlRecord[], record: ControlRecord): readonly ControlRecord[] {
  const all = [record, ...known];
  const changes = all.filter(({ type }) => type === BATCH_CONFIG).slice(0, CONFIG_RECORD_COUNT);
  return all.filter((entry, index) => index < CONFIG_RECORD_COUNT || changes.includes(entry));
}
