/** A partition whose leader knows producer sessions, in memory. */
import { decodeBatch, producerSequenceAt } from '@partita/batch';
import { isRequest, lastProduced, PartitaError, ProducerTable } from '@partita/domain';
import type { ProducerSequence } from '@partita/domain';
import { AppendAck } from '@partita/protocol';

/** One log, and the leader's rules for the batches of sessions (REPLICATION: "Idempotent producers"). */
export class SpecLog {
  /** Values of the records stored, in the order of their offsets. */
  readonly values: string[] = [];
  #producers = new ProducerTable();
  #batchCount = 0n;

  /** The leader's state is lost. */
  forgetProducers(): void {
    this.#producers = new ProducerTable();
  }

  /** Stores a batch, or says why not. */
  append(recordBatches: Uint8Array): AppendAck | PartitaError {
    const sequence = producerSequenceAt(recordBatches, 0);
    if (sequence === undefined) return new PartitaError('INTERNAL', 'a batch of no session');
    if (isRequest(sequence)) {
      const first = this.#producers.requests.find(sequence.producerId, 0n);
      if (first !== undefined) return AppendAck.fromPartial({ baseOffset: first.baseOffset, duplicate: true });
      return this.#store(recordBatches, sequence);
    }
    const { producerEpoch, firstSequence } = sequence;
    const known = this.#producers.find(sequence.producerId, 0n);
    if (known === undefined && firstSequence !== 0n) return new PartitaError('UNKNOWN_PRODUCER', 'unknown');
    if (known !== undefined && producerEpoch < known.producerEpoch)
      return new PartitaError('FENCED_PRODUCER', 'fenced');
    if (known?.producerEpoch === producerEpoch) {
      const expected = lastProduced(known).lastSequence + 1n;
      if (firstSequence > expected) return new PartitaError('OUT_OF_ORDER_SEQUENCE', 'a gap');
      const original = known.batches.find((batch) => batch.firstSequence === firstSequence);
      if (original !== undefined) return AppendAck.fromPartial({ baseOffset: original.baseOffset, duplicate: true });
      if (firstSequence < expected) return new PartitaError('UNKNOWN_PRODUCER', 'below the window');
    } else if (firstSequence !== 0n) return new PartitaError('OUT_OF_ORDER_SEQUENCE', 'a gap in a new epoch');
    return this.#store(recordBatches, sequence);
  }

  #store(recordBatches: Uint8Array, sequence: ProducerSequence): AppendAck {
    const baseOffset = BigInt(this.values.length);
    for (const { value } of decodeBatch(recordBatches, 0).records)
      this.values.push(Buffer.from(value ?? []).toString());
    this.#producers.note(sequence, baseOffset, (this.#batchCount += 1n));
    return AppendAck.fromPartial({ baseOffset });
  }
}
