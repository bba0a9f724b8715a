/**
 * Holds one partition to what producer sessions are promised (REPLICATION, section 1): I13 order and I14 at most once, in
 * what is committed; I16, that every replica knows the sessions as its log has them. Folds by itself, without the product's
 * table. I15 is the oracle's own: what is acknowledged must be committed.
 */
import { isRequest, PRODUCER_EXPIRY_MS, PRODUCER_WINDOW_COUNT } from '@partita/domain';
import type { PartitaError, ProducerSequence } from '@partita/domain';
import type { PartitionState } from '@partita/replication';
import { knownRequests, RequestOracle, requestsOf } from './request-oracle.ts';
import type { StoredBatch } from './stored-batch.ts';

/** Attempts of one batch: copies that a broker took in, and those that were refused for certain. */
interface Attempts {
  delivered: number;
  refused: number;
}

export class SessionOracle {
  readonly #requests = new RequestOracle();
  /** The last committed batch of each session. */
  readonly #last = new Map<string, StoredBatch>();
  readonly #attempts = new Map<number, Attempts>();

  /** A broker has taken in one copy of an append. */
  delivered(appendId: number): void {
    this.#of(appendId).delivered += 1;
  }

  /** One copy was refused for certain, which says nothing of the others. Why it may not be, or undefined. */
  refused(
    appendId: number,
    producer: ProducerSequence,
    error: PartitaError,
    tip: StoredBatch | undefined,
  ): string | undefined {
    this.#of(appendId).refused += 1;
    return isRequest(producer) ? this.#requests.refusal(producer, error, tip) : undefined;
  }

  /** The first of the committed appends of which every copy was refused for certain (I11). */
  refusedAndKept(committed: readonly StoredBatch[]): number | undefined {
    const kept = committed.find(({ appendId }) => {
      const attempts = this.#attempts.get(appendId);
      return attempts !== undefined && attempts.refused >= attempts.delivered;
    });
    return kept?.appendId;
  }

  /** The next batch is committed. Why it may not be, or undefined. */
  commit(batch: StoredBatch): string | undefined {
    const { producer, baseOffset } = batch;
    if (producer === undefined) return undefined;
    if (isRequest(producer)) return this.#requests.commit(producer, baseOffset);
    const { producerId, producerEpoch, firstSequence } = producer;
    const before = this.#last.get(producerId)?.producer;
    this.#last.set(producerId, batch);
    const isSameEpoch = before?.producerEpoch === producerEpoch;
    const expected = before !== undefined && isSameEpoch ? before.lastSequence + 1n : 0n;
    const place = `sequence ${producerEpoch}/${firstSequence} of ${producerId} at ${baseOffset}`;
    if (before !== undefined && producerEpoch < before.producerEpoch)
      return `I13: ${place} follows epoch ${before.producerEpoch}`;
    if (firstSequence < expected) return `I14: ${place} is committed twice`;
    return firstSequence > expected ? `I13: ${place} leaves a gap behind ${expected}` : undefined;
  }

  /** An operator gave committed records up: these are left. */
  restart(committed: readonly StoredBatch[]): void {
    this.#last.clear();
    for (const batch of committed) {
      if (batch.producer !== undefined && !isRequest(batch.producer)) this.#last.set(batch.producer.producerId, batch);
    }
    this.#requests.restart(committed);
  }

  /** I16: why the replica does not know the sessions of its log that ends with `tip`, or undefined. */
  fault({ producers, lastAppendTimeMs }: Readonly<PartitionState>, tip: StoredBatch | undefined): string | undefined {
    const known = producers.entries(lastAppendTimeMs).map(({ producerId, producerEpoch, batches }) => {
      const window = batches.map((batch) => `${batch.firstSequence}@${batch.baseOffset}t${batch.appendTimeMs}`);
      return `${producerId}/${producerEpoch} ${window.join(' ')}`;
    });
    known.push(...knownRequests(producers.requests, lastAppendTimeMs));
    const right = [...sessionsOf(tip), ...requestsOf(tip)];
    if (known.sort().join('\n') === right.sort().join('\n')) return undefined;
    return `I16: knows the sessions [${known.join(', ')}], its log [${right.join(', ')}]`;
  }

  #of(appendId: number): Attempts {
    const known = this.#attempts.get(appendId) ?? { delivered: 0, refused: 0 };
    this.#attempts.set(appendId, known);
    return known;
  }
}

/** All sessions of the log that ends with `tip`, one line each, straight from the definition. */
function sessionsOf(tip: StoredBatch | undefined): string[] {
  const bySession = new Map<string, StoredBatch[]>();
  for (let batch = tip; batch !== undefined; batch = batch.previous) {
    if (batch.producer === undefined || isRequest(batch.producer)) continue;
    const { producerId } = batch.producer;
    const later = bySession.get(producerId);
    if (later === undefined) bySession.set(producerId, [batch]);
    else later.push(batch);
  }
  const nowMs = tip?.appendTimeMs ?? 0n;
  return [...bySession].flatMap(([producerId, newestFirst]) => {
    const epoch = newestFirst[0]?.producer?.producerEpoch;
    const window = windowOf(newestFirst, nowMs);
    return window.length > 0 ? [`${producerId}/${epoch} ${window.join(' ')}`] : [];
  });
}

/** The last batches of a session's newest epoch, up to where it was forgotten once, oldest first. */
function windowOf(newestFirst: readonly StoredBatch[], nowMs: bigint): string[] {
  const epoch = newestFirst[0]?.producer?.producerEpoch;
  const window: string[] = [];
  let after = nowMs;
  for (const { producer, baseOffset, appendTimeMs } of newestFirst.slice(0, PRODUCER_WINDOW_COUNT)) {
    if (after - appendTimeMs > BigInt(PRODUCER_EXPIRY_MS) || producer?.producerEpoch !== epoch) break;
    window.unshift(`${producer?.firstSequence}@${baseOffset}t${appendTimeMs}`);
    after = appendTimeMs;
  }
  return window;
}
