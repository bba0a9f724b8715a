/** Records as shops write them: JSON that compresses like text, the same in every run. */
import type { RecordInput } from '@partita/batch';

const WORDS = 'amber basil cedar dune ember fjord grove harbor iris jade kelp lotus maple nectar olive pearl'.split(
  ' ',
);
const KEY_BYTES = 16;
/** Tags and lengths of a record, its key, value and timestamp. */
const FRAMING_BYTES = 16;

/** The record with that number, of about `recordBytes` serialised. */
export function orderRecord(number: number, recordBytes: number): RecordInput {
  const next = numbersFrom(number);
  let json = `{"order":${next()},"lines":[`;
  const valueBytes = recordBytes - KEY_BYTES - FRAMING_BYTES;
  while (json.length < valueBytes) {
    const name = `${WORDS[next() % WORDS.length] ?? ''}-${WORDS[next() % WORDS.length] ?? ''}`;
    json += `{"sku":"${name}","quantity":${next() % 20},"price":${next() % 100_000}},`;
  }
  return {
    key: Buffer.from(next().toString(16).padStart(KEY_BYTES, '0')),
    value: Buffer.from(json.slice(0, valueBytes)),
    headers: [],
    timestampMs: 1_763_800_000_000n + BigInt(number),
    traceparent: '',
    tracestate: '',
  };
}

/** Numbers below 2^32 that look random (xorshift). */
function numbersFrom(seed: number): () => number {
  let state = (seed + 1) * 0x9e3779b1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}
