/** What a compaction leaves of a batch, held against the batch as it was appended. */
import { decodeBatch } from '@partita/batch';
import type { DecodedBatch, DecodedRecord } from '@partita/batch';
import type { StoredBatch } from './log-identity.ts';

/** True when the bytes are the batch, or the batch with some of its keyed records left out and nothing else changed. */
export function isPartOf(batch: StoredBatch, bytes: Buffer): boolean {
  if (bytes.equals(batch.bytes)) return true;
  if (batch.records.every(({ key }) => key === undefined)) return false;
  const part = decoded(bytes);
  if (part === undefined || !hasSameHead(part, batch)) return false;
  const whole = new Map(decodeBatch(batch.bytes).records.map((record) => [record.offset, record]));
  let before = batch.base - 1n;
  for (const record of part.records) {
    const source = whole.get(record.offset);
    if (record.offset <= before || source === undefined || !isSame(record, source)) return false;
    before = record.offset;
  }
  return part.records.length > 0;
}

/** Offsets of the records in the bytes of a data batch. */
export function keptOffsets(bytes: Buffer): ReadonlySet<bigint> {
  return new Set(decodeBatch(bytes).records.map(({ offset }) => offset));
}

function decoded(bytes: Buffer): DecodedBatch | undefined {
  try {
    return decodeBatch(bytes);
  } catch {
    return undefined;
  }
}

function hasSameHead({ header }: DecodedBatch, { type, base, next, epoch, appendTimeMs }: StoredBatch): boolean {
  return (
    header.type === type &&
    header.baseOffset === base &&
    header.baseOffset + BigInt(header.lastOffsetDelta) + 1n === next &&
    header.leaderEpoch === epoch &&
    header.appendTimeMs === appendTimeMs
  );
}

function isSame(record: DecodedRecord, source: DecodedRecord): boolean {
  return (
    record.timestampMs === source.timestampMs &&
    areSame(record.key, source.key) &&
    areSame(record.value, source.value) &&
    record.headers.length === source.headers.length
  );
}

function areSame(one: Uint8Array | undefined, other: Uint8Array | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  return Buffer.compare(one, other) === 0;
}
