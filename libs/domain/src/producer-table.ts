/**
 * What a partition remembers of its producer sessions: a fold of the batches that belong to one, and of nothing else, so
 * that the log and the replica that leads it, after a restart, a cut or a copy too, know the same. Per session the newest
 * epoch and its last batches, so that a repeated batch is known again, with the place that it got.
 *
 * A session is forgotten a day after its last batch, by the log's own time, never because of retention. Since append times
 * never fall in a log, the entries stand in the order of their last batches, and the expired ones in front. A new claim
 * of the partition ends all sessions, which were those of earlier claims.
 *
 * A batch of REQUEST_PRODUCER_EPOCH is a request instead: a session of one batch, kept apart (request-table.ts), so that
 * neither kind takes the room of the other. An id of one kind says nothing about the same id of the other.
 */
import { invariant } from './invariant.ts';
import { PRODUCER_COUNT_MAX, PRODUCER_EXPIRY_MS, PRODUCER_WINDOW_COUNT, REQUEST_PRODUCER_EPOCH } from './limits.ts';
import { RequestTable } from './request-table.ts';

/** What makes a batch of a producer session known again. */
export interface ProducerSequence {
  /** 16 bytes, hex. */
  readonly producerId: string;
  readonly producerEpoch: number;
  /** Of the first record, from 0 on. */
  readonly firstSequence: bigint;
  /** Inclusive. */
  readonly lastSequence: bigint;
  readonly recordsCrc: number;
}

/** One batch of a session, as it lies in the log. */
export interface ProducedBatch {
  readonly firstSequence: bigint;
  /** Inclusive. */
  readonly lastSequence: bigint;
  readonly recordsCrc: number;
  readonly baseOffset: bigint;
  /** Leader's time, milliseconds UTC. */
  readonly appendTimeMs: bigint;
}

/** One session. */
export interface ProducerEntry {
  /** 16 bytes, hex. */
  readonly producerId: string;
  readonly producerEpoch: number;
  /** The last PRODUCER_WINDOW_COUNT batches of that epoch, oldest first, at least one. */
  readonly batches: readonly ProducedBatch[];
}

/** What a table holds, as plain data: what a snapshot keeps, and a replica begins with. */
export interface ProducerFacts {
  /** That of the oldest last batch first. */
  readonly sessions: readonly ProducerEntry[];
  /** Rows of a RequestTable. */
  readonly requests: Uint8Array;
}

/** Of a partition that no producer session has written. */
export const NO_PRODUCERS: ProducerFacts = Object.freeze({ sessions: [], requests: new Uint8Array(0) });

export class ProducerTable {
  /** Oldest last batch first. */
  readonly #entries = new Map<string, ProducerEntry>();
  readonly requests: RequestTable;

  constructor({ sessions, requests }: ProducerFacts = NO_PRODUCERS) {
    for (const entry of sessions) this.#entries.set(entry.producerId, entry);
    this.requests = new RequestTable(requests);
  }

  /** All that has not expired at the log's time `nowMs`, as data of its own. */
  facts(nowMs: bigint): ProducerFacts {
    return { sessions: this.entries(nowMs), requests: this.requests.rows(nowMs) };
  }

  /** Sessions that have not expired at the log's time `nowMs`, that of the oldest last batch first. */
  entries(nowMs: bigint): ProducerEntry[] {
    return [...this.#entries.values()].filter((entry) => !hasExpired(entry, nowMs));
  }

  /** The session, if it has not expired at the log's time `nowMs`. */
  find(producerId: string, nowMs: bigint): ProducerEntry | undefined {
    const entry = this.#entries.get(producerId);
    return entry === undefined || hasExpired(entry, nowMs) ? undefined : entry;
  }

  /** True when a further session would be one too many at the log's time `nowMs`. */
  isFull(nowMs: bigint): boolean {
    let count = this.#entries.size;
    if (count < PRODUCER_COUNT_MAX) return false;
    for (const entry of this.#entries.values()) {
      if (!hasExpired(entry, nowMs)) break;
      count -= 1;
    }
    return count >= PRODUCER_COUNT_MAX;
  }

  /** Takes in the next batch of the log that belongs to a session. */
  note(sequence: ProducerSequence, baseOffset: bigint, appendTimeMs: bigint): void {
    const { producerId, producerEpoch, firstSequence, lastSequence, recordsCrc } = sequence;
    this.#forgetExpired(appendTimeMs);
    if (isRequest(sequence)) {
      this.requests.note({ requestId: producerId, recordCount: recordCountOf(sequence), baseOffset, appendTimeMs });
      return;
    }
    this.requests.forgetExpired(appendTimeMs);
    const before = this.#entries.get(producerId);
    const window = before?.producerEpoch === producerEpoch ? before.batches : [];
    const batch: ProducedBatch = { firstSequence, lastSequence, recordsCrc, baseOffset, appendTimeMs };
    // Deleted first: the newest entry stands behind the others.
    this.#entries.delete(producerId);
    this.#entries.set(producerId, {
      producerId,
      producerEpoch,
      batches: [...window, batch].slice(-PRODUCER_WINDOW_COUNT),
    });
  }

  #forgetExpired(nowMs: bigint): void {
    for (const [id, entry] of this.#entries) {
      if (!hasExpired(entry, nowMs)) return;
      this.#entries.delete(id);
    }
  }
}

/** True for a session of one batch, whose producer id is the id of the request. */
export function isRequest({ producerEpoch }: ProducerSequence): boolean {
  return producerEpoch === REQUEST_PRODUCER_EPOCH;
}

/** Records of a session's batch. */
export function recordCountOf({ firstSequence, lastSequence }: ProducerSequence): number {
  return Number(lastSequence - firstSequence) + 1;
}

/** The newest batch of a session. */
export function lastProduced({ batches }: ProducerEntry): ProducedBatch {
  const last = batches.at(-1);
  invariant(last !== undefined, 'a producer session has a batch');
  return last;
}

function hasExpired(entry: ProducerEntry, nowMs: bigint): boolean {
  return nowMs - lastProduced(entry).appendTimeMs > BigInt(PRODUCER_EXPIRY_MS);
}
