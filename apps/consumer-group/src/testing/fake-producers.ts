/** Producer sessions of a partition, as far as a leader that never fails over has to know them. */
import { hasProducerAt, producerSequenceAt } from '@partita/batch';
import { PartitaError } from '@partita/domain';

export class FakeProducers {
  /** Offsets by session and first sequence. */
  readonly #stored = new Map<string, bigint>();
  readonly #next = new Map<string, bigint>();

  /** Offset of the batch when it is a repeated one; throws OUT_OF_ORDER_SEQUENCE for a gap. */
  find(batch: Uint8Array): bigint | undefined {
    if (!hasProducerAt(batch, 0)) return undefined;
    const { producerId, firstSequence } = sequenceIn(batch);
    const known = this.#stored.get(`${producerId}/${firstSequence}`);
    const next = this.#next.get(producerId) ?? 0n;
    if (known !== undefined || firstSequence === next) return known;
    const metadata = { expected: String(next), actual: String(firstSequence) };
    throw new PartitaError('OUT_OF_ORDER_SEQUENCE', 'a gap', metadata);
  }

  note(batch: Uint8Array, baseOffset: bigint): void {
    if (!hasProducerAt(batch, 0)) return;
    const { producerId, firstSequence, lastSequence } = sequenceIn(batch);
    this.#stored.set(`${producerId}/${firstSequence}`, baseOffset);
    this.#next.set(producerId, lastSequence + 1n);
  }
}

function sequenceIn(batch: Uint8Array) {
  const sequence = producerSequenceAt(batch, 0);
  if (sequence === undefined) throw new PartitaError('INVALID_BATCH', 'a control batch belongs to no session');
  return sequence;
}
