/**
 * Reading batches: walking a run of them (a segment file, a fetch, an append) and decoding one to its records. Both
 * expect canonical batches; what clients send goes through acceptBatch() first.
 */
import { BATCH_DATA, readBatchHeader } from './batch-header.ts';
import type { BatchHeader } from './batch-header.ts';
import { decompress } from './compression/codec.ts';
import { crc32c } from './crc32c.ts';
import { invalidBatch, checksumMismatch } from './faults.ts';
import { recordsAt } from './header-access.ts';
import { decodeRecordSet } from './record-set.ts';
import type { DecodedRecord } from './record-set.ts';
import { WireReader } from './wire-reader.ts';

const SEGMENT_HEADER_TAG = 0x12;

/** A batch and where it begins in the buffer that was walked. */
export interface PlacedBatch {
  readonly position: number;
  readonly header: BatchHeader;
}

/** A batch taken apart. The records are views of the buffer, or of the unpacked records where they were compressed. */
export interface DecodedBatch {
  readonly header: BatchHeader;
  /** In offset order; none for a control batch, whose content recordsAt() gives. */
  readonly records: readonly DecodedRecord[];
}

/**
 * The batches of a serialised RecordBatches, in order, skipping a segment header. Throws INVALID_BATCH with the
 * position where something else stands or a batch is cut short; checksums are left to the caller.
 */
export function* batchesIn(buf: Uint8Array): Generator<PlacedBatch, void, undefined> {
  let position = 0;
  while (position < buf.length) {
    if (buf[position] === SEGMENT_HEADER_TAG) {
      position = behindSegmentHeader(buf, position);
      continue;
    }
    const header = readWholeHeader(buf, position);
    yield { position, header };
    position += header.batchBytes;
  }
}

/**
 * Decodes the canonical batch at `position`: CHECKSUM_MISMATCH when the records are not those that were produced,
 * INVALID_BATCH when they do not fit the header (count, offsets, unpacked size), MALFORMED_MESSAGE when they are no
 * RecordSet.
 */
export function decodeBatch(buf: Uint8Array, position = 0): DecodedBatch {
  const header = readWholeHeader(buf, position);
  checkRecordsCrc(buf, position, header);
  if (header.type !== BATCH_DATA) return { header, records: [] };
  const set = decompress(header.codec, recordsAt(buf, position), header.uncompressedBytes);
  const records = decodeRecordSet(set, header.baseOffset);
  checkOffsets(header, records);
  return { header, records };
}

/** The header of the batch at `position`; INVALID_BATCH when there is none or the batch is cut short. */
export function readWholeHeader(buf: Uint8Array, position: number): BatchHeader {
  const header = readBatchHeader(buf, position);
  if (position + header.batchBytes > buf.length) {
    throw invalidBatch(
      `the batch at byte ${position} has ${header.batchBytes} bytes, ${buf.length - position} are left`,
      { position: String(position) },
    );
  }
  return header;
}

function behindSegmentHeader(buf: Uint8Array, position: number): number {
  const reader = new WireReader(buf, 'partita.v1.RecordBatches', position + 1);
  reader.span();
  return reader.position;
}

/** CHECKSUM_MISMATCH when the records of the whole batch at `position` are not those that the header was made for. */
export function checkRecordsCrc(buf: Uint8Array, position: number, header: BatchHeader): void {
  const crc = crc32c(recordsAt(buf, position));
  if (crc !== header.recordsCrc) throw checksumMismatch('records_crc', header.recordsCrc, crc);
}

function checkOffsets(header: BatchHeader, records: readonly DecodedRecord[]): void {
  if (records.length !== header.recordCount) {
    throw invalidBatch(`the header counts ${header.recordCount} records, the batch holds ${records.length}`);
  }
  let previous = -1;
  for (let index = 0; index < records.length; index++) {
    const delta = records[index]?.offsetDelta ?? index;
    checkRecordOffset(header, index, delta, previous);
    previous = delta;
  }
}

/** INVALID_BATCH when the offset delta of record `index` is not above that of the one before, or above the header's last. */
export function checkRecordOffset(header: BatchHeader, index: number, delta: number, previous: number): void {
  if (delta <= previous || delta > header.lastOffsetDelta) {
    throw invalidBatch(`offset_delta ${delta} of record ${index} is out of order or above last_offset_delta`);
  }
}
