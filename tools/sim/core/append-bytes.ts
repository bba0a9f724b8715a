/**
 * The bytes of an append in this world, 32-bit words: its number, how many records it has, and for a producer session its
 * id (4 words), epoch and first sequence, and which build of it this is. The number stands for the content, so together
 * with the build it is the checksum, too.
 */
import type { ProducerSequence } from '@partita/domain';

const PLAIN_WORDS = 2;
const ID_WORDS = 4;
const HEX_CHARS_PER_WORD = 8;
/** More than there are appends in a world. */
const BUILD_FACTOR = 2 ** 20;

/** What an append holds. */
export interface AppendContent {
  readonly appendId: number;
  readonly recordCount: number;
  readonly producer: ProducerSequence | undefined;
}

export function encodeAppend({ appendId, recordCount, producer }: AppendContent): Uint8Array {
  const words = [appendId, recordCount];
  if (producer !== undefined) {
    const { producerId, producerEpoch, firstSequence, recordsCrc } = producer;
    for (let word = 0; word < ID_WORDS; word += 1) {
      words.push(parseInt(producerId.slice(word * HEX_CHARS_PER_WORD, (word + 1) * HEX_CHARS_PER_WORD), 16));
    }
    words.push(producerEpoch, Number(firstSequence), (recordsCrc - appendId) / BUILD_FACTOR);
  }
  return new Uint8Array(new Uint32Array(words).buffer);
}

export function decodeAppend(batch: Uint8Array): AppendContent {
  const words = new Uint32Array(batch.buffer, batch.byteOffset, batch.byteLength / 4);
  const [appendId = 0, recordCount = 0] = words;
  if (words.length === PLAIN_WORDS) return { appendId, recordCount, producer: undefined };
  const id = words.subarray(PLAIN_WORDS, PLAIN_WORDS + ID_WORDS);
  const [producerEpoch = 0, firstSequence = 0, build = 0] = words.subarray(PLAIN_WORDS + ID_WORDS);
  const producerId = [...id].map((word) => word.toString(16).padStart(HEX_CHARS_PER_WORD, '0')).join('');
  return {
    appendId,
    recordCount,
    producer: sequenceOf(producerId, producerEpoch, { appendId, firstSequence, recordCount }, build),
  };
}

/** The identity of a session's batch; a session sends the same `build` again and again. */
export function sequenceOf(
  producerId: string,
  producerEpoch: number,
  batch: { readonly appendId: number; readonly firstSequence: number; readonly recordCount: number },
  build = 0,
): ProducerSequence {
  const { appendId, firstSequence, recordCount } = batch;
  return {
    producerId,
    producerEpoch,
    firstSequence: BigInt(firstSequence),
    lastSequence: BigInt(firstSequence + recordCount - 1),
    recordsCrc: appendId + build * BUILD_FACTOR,
  };
}
