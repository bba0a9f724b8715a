/**
 * Which batches of producer sessions a leader takes (REPLICATION: "Idempotent producers"). The clock is the log's time, the
 * leader's wall clock that never falls: by it sessions are forgotten, so by it the age of an id is judged.
 */
import {
  isRequest,
  lastProduced,
  PartitaError,
  PRODUCER_COUNT_MAX,
  PRODUCER_EXPIRY_MS,
  producerIdTimeMs,
  recordCountOf,
  REQUEST_COUNT_MAX,
  REQUEST_EXPIRY_MS,
} from '@partita/domain';
import type {
  ErrorReason,
  ProducedBatch,
  ProducerEntry,
  ProducerSequence,
  ProducerTable,
  RequestTable,
} from '@partita/domain';

/** Where a batch got its place. */
export type OriginalPlace = Pick<ProducedBatch, 'baseOffset' | 'appendTimeMs'>;

/** What a batch is to its session. A refusal is definite for this request: nothing was stored for it. */
export type SequenceVerdict =
  | { readonly kind: 'next' }
  | { readonly kind: 'duplicate'; readonly original: OriginalPlace }
  | { readonly kind: 'refused'; readonly error: PartitaError };

const NEXT: SequenceVerdict = { kind: 'next' };
/** Half, so that whatever was taken once is refused by its age when it has been forgotten. */
const ID_AGE_MS_MAX = BigInt(PRODUCER_EXPIRY_MS / 2);
const REQUEST_AGE_MS_MAX = BigInt(REQUEST_EXPIRY_MS / 2);

/** Judges a batch against what the log holds, written or not; one without a session is always next. */
export function judgeSequence(
  producers: ProducerTable,
  sequence: ProducerSequence | undefined,
  nowMs: bigint,
): SequenceVerdict {
  if (sequence === undefined) return NEXT;
  if (isRequest(sequence)) return judgeRequest(producers.requests, sequence, nowMs);
  const known = producers.find(sequence.producerId, nowMs);
  return known === undefined ? judgeUnknown(producers, sequence, nowMs) : judgeKnown(known, sequence);
}

function judgeUnknown(producers: ProducerTable, sequence: ProducerSequence, nowMs: bigint): SequenceVerdict {
  const { producerId, firstSequence } = sequence;
  if (firstSequence !== 0n) return unknownProducer(producerId);
  if (isFarFrom(nowMs, producerId, ID_AGE_MS_MAX)) {
    const message = "the producer id's time is too far from the leader's; begin a session with a new id";
    return refusal('PRODUCER_EXPIRED', message, { producer_id: producerId, leader_time_ms: String(nowMs) });
  }
  if (!producers.isFull(nowMs)) return NEXT;
  const message = `the partition remembers ${PRODUCER_COUNT_MAX} producer sessions; reuse sessions, or try again later`;
  return refusal('PRODUCER_TABLE_FULL', message, { limit: String(PRODUCER_COUNT_MAX) });
}

function judgeKnown(known: ProducerEntry, sequence: ProducerSequence): SequenceVerdict {
  const { producerId, producerEpoch, firstSequence } = sequence;
  if (producerEpoch < known.producerEpoch) {
    const message = `the session goes on under producer epoch ${known.producerEpoch}; this one is over`;
    const metadata = { epoch: String(producerEpoch), current: String(known.producerEpoch) };
    return refusal('FENCED_PRODUCER', message, { producer_id: producerId, ...metadata });
  }
  const isNewEpoch = producerEpoch > known.producerEpoch;
  const expected = isNewEpoch ? 0n : lastProduced(known).lastSequence + 1n;
  if (firstSequence === expected) return NEXT;
  if (firstSequence > expected) {
    const message = `sequence ${firstSequence} leaves a gap behind ${expected}; resend from there, in order`;
    return refusal('OUT_OF_ORDER_SEQUENCE', message, { expected: String(expected), actual: String(firstSequence) });
  }
  const original = known.batches.find((batch) => isSame(batch, sequence));
  return original === undefined ? unknownProducer(producerId) : { kind: 'duplicate', original };
}

/**
 * A request is known by its id and its number of records. The checksum does not count: who repeats it may be another
 * gateway, which gives records without a time another one, or other trace contexts.
 */
function judgeRequest(requests: RequestTable, sequence: ProducerSequence, nowMs: bigint): SequenceVerdict {
  const { producerId } = sequence;
  const known = requests.find(producerId, nowMs);
  if (known !== undefined) {
    const recordCount = recordCountOf(sequence);
    if (recordCount === known.recordCount) return { kind: 'duplicate', original: known };
    const message = `the request with this id was stored with ${known.recordCount} records, this one has ${recordCount}; give each request an id of its own`;
    return refusal('UNKNOWN_PRODUCER', message, { producer_id: producerId });
  }
  if (isFarFrom(nowMs, producerId, REQUEST_AGE_MS_MAX)) {
    const message =
      "the request id's time is too far from the leader's to tell whether it was stored; read the partition, or send it under a new id";
    return refusal('PRODUCER_EXPIRED', message, { producer_id: producerId, leader_time_ms: String(nowMs) });
  }
  if (!requests.isFull(nowMs)) return NEXT;
  const message = `the partition remembers ${REQUEST_COUNT_MAX} requests; try again later, or write in a producer session`;
  return refusal('PRODUCER_TABLE_FULL', message, { limit: String(REQUEST_COUNT_MAX) });
}

function isFarFrom(nowMs: bigint, producerId: string, ageMsMax: bigint): boolean {
  const ageMs = nowMs - producerIdTimeMs(producerId);
  return ageMs > ageMsMax || ageMs < -ageMsMax;
}

function isSame(stored: ProducedBatch, sent: ProducerSequence): boolean {
  return (
    stored.firstSequence === sent.firstSequence &&
    stored.lastSequence === sent.lastSequence &&
    stored.recordsCrc === sent.recordsCrc
  );
}

/** Neither the next batch nor one that is known again: whether it was stored once cannot be told. */
function unknownProducer(producerId: string): SequenceVerdict {
  const message = 'the leader does not know this producer, or no longer this sequence; begin a session with a new id';
  return refusal('UNKNOWN_PRODUCER', message, { producer_id: producerId });
}

function refusal(reason: ErrorReason, message: string, metadata: Readonly<Record<string, string>>): SequenceVerdict {
  return { kind: 'refused', error: new PartitaError(reason, message, metadata) };
}
