/**
 * What a partition remembers of its producer sessions: the fold of the batch headers that carry a producer. Per session
 * the newest epoch and its last batches, so that a repeated batch is known again, with the offset that it got
 * (REPLICATION: "Idempotent producers"). It outlives the segments that it was read from (snapshot.ts); a session is
 * forgotten a day after its last batch, by the log's own time, never because of retention.
 */
import {
  appendTimeMsAt,
  BATCH_DATA,
  baseOffsetAt,
  batchTypeAt,
  firstSequenceAt,
  hasProducerAt,
  lastOffsetDeltaAt,
  producerEpochAt,
  producerIdAt,
  recordsCrcAt,
} from '@partita/batch';
import { PRODUCER_EXPIRY_MS, PRODUCER_WINDOW_COUNT } from '@partita/domain';

/** One batch of a session, as it lies in the log. */
export interface ProducedBatch {
  readonly firstSequence: bigint;
  /** Inclusive. */
  readonly lastSequence: bigint;
  readonly recordsCrc: number;
  readonly baseOffset: bigint;
}

/** One session. */
export interface ProducerEntry {
  /** 16 bytes, hex. */
  readonly producerId: string;
  readonly producerEpoch: number;
  /** Leader's time of its last batch, milliseconds UTC. */
  readonly lastAppendTimeMs: bigint;
  /** The last PRODUCER_WINDOW_COUNT batches of that epoch, oldest first, at least one. */
  readonly batches: readonly ProducedBatch[];
}

export class ProducerTable {
  readonly #entries = new Map<string, ProducerEntry>();

  constructor(entries: Iterable<ProducerEntry> = []) {
    for (const entry of entries) this.#entries.set(entry.producerId, entry);
  }

  /** Sessions that have not expired at the log's time `nowMs`; the others are dropped. */
  entries(nowMs: bigint): ProducerEntry[] {
    for (const [id, { lastAppendTimeMs }] of this.#entries) {
      if (nowMs - lastAppendTimeMs > BigInt(PRODUCER_EXPIRY_MS)) this.#entries.delete(id);
    }
    return [...this.#entries.values()];
  }

  /** Takes in the batch whose header begins at `at`; one without a producer changes nothing. */
  note(bytes: Uint8Array, at: number): void {
    if (!hasProducerAt(bytes, at) || batchTypeAt(bytes, at) !== BATCH_DATA) return;
    const producerId = producerIdAt(bytes, at);
    const producerEpoch = producerEpochAt(bytes, at);
    const firstSequence = firstSequenceAt(bytes, at);
    const batch: ProducedBatch = {
      firstSequence,
      lastSequence: firstSequence + BigInt(lastOffsetDeltaAt(bytes, at)),
      recordsCrc: recordsCrcAt(bytes, at),
      baseOffset: baseOffsetAt(bytes, at),
    };
    const before = this.#entries.get(producerId);
    const window = before?.producerEpoch === producerEpoch ? before.batches : [];
    this.#entries.set(producerId, {
      producerId,
      producerEpoch,
      lastAppendTimeMs: appendTimeMsAt(bytes, at),
      batches: [...window, batch].slice(-PRODUCER_WINDOW_COUNT),
    });
  }
}
