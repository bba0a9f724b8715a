/**
 * Reading a batch in any valid protobuf form: fields in any order, zeros left out, lengths unpadded. Strict where the
 * protobuf rules are lax, because a tolerated oddity would be a way to store what was not checked: a field that repeats
 * (parsers would take the last, or merge), an unknown field, a second batch.
 */
import type { BatchHeader } from './batch-header.ts';
import { invalidBatch } from './faults.ts';
import { int32At, int64At, uint32At } from './little-endian.ts';
import { WireReader } from './wire-reader.ts';

const BATCH_TAG = 0x0a;
const PRODUCER_ID_BYTES = 16;
const NO_PRODUCER = new Uint8Array(PRODUCER_ID_BYTES);

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

/** A header as it came: enum values unchecked, UNSPECIFIED among them. */
export type ForeignHeader = Mutable<Omit<BatchHeader, 'codec' | 'type' | 'recordsBytes' | 'batchBytes'>> & {
  codec: number;
  type: number;
};

/** A batch as it came, the records as a view. */
export interface ForeignBatch {
  readonly header: ForeignHeader;
  readonly records: Uint8Array;
}

/** Parses a RecordBatches that holds exactly one batch and nothing else (INVALID_BATCH, MALFORMED_MESSAGE). */
export function readForeignBatch(bytes: Uint8Array): ForeignBatch {
  const reader = new WireReader(bytes, 'partita.v1.RecordBatches');
  if (reader.done()) throw invalidBatch('the append holds no batch; send one');
  const tag = reader.tag();
  if (tag !== BATCH_TAG) throw invalidBatch(`field ${tag >>> 3} stands where the batch should; send a RecordBatches`);
  const outerEnd = reader.enter();
  const batch = readBatchFields(reader);
  reader.leave(outerEnd);
  if (!reader.done()) throw invalidBatch('something follows the batch; send exactly one batch and nothing behind it');
  return batch;
}

function readBatchFields(reader: WireReader): ForeignBatch {
  const header = emptyHeader();
  let records: Uint8Array | undefined;
  let seen = 0;
  while (!reader.done()) {
    const tag = records === undefined ? reader.tag() : tagBehindRecords(reader);
    const field = tag >>> 3;
    const bit = field < 32 ? 1 << field : 0;
    if ((seen & bit) !== 0) throw invalidBatch(`field ${field} of the batch repeats`, { field: String(field) });
    seen |= bit;
    if (tag === RECORDS_TAG) {
      records = reader.bytes();
      continue;
    }
    const readField = FIELD_READERS.get(tag);
    if (readField === undefined) {
      throw invalidBatch(`field ${field} of the batch is unknown, or has another type`, { field: String(field) });
    }
    readField(header, reader);
  }
  return { header, records: records ?? new Uint8Array(0) };
}

/** Fields may come in any order; what is no field at all is not "bytes that no parser reads" here, but something smuggled in. */
function tagBehindRecords(reader: WireReader): number {
  try {
    return reader.tag();
  } catch (cause) {
    throw invalidBatch('bytes stand behind the records; send nothing behind them', {}, cause);
  }
}

const RECORDS_TAG = 0x9a;

/** One reader per field, by tag (field number and wire type). */
const FIELD_READERS: ReadonlyMap<number, (header: ForeignHeader, reader: WireReader) => void> = new Map([
  [0x09, (header, reader) => void (header.baseOffset = readInt64(reader))],
  [0x15, (header, reader) => void (header.leaderEpoch = readInt32(reader))],
  [0x19, (header, reader) => void (header.appendTimeMs = readInt64(reader))],
  [0x25, (header, reader) => void (header.headerCrc = readUint32(reader))],
  [0x2d, (header, reader) => void (header.recordsCrc = readUint32(reader))],
  [0x35, (header, reader) => void (header.recordCount = readInt32(reader))],
  [0x3d, (header, reader) => void (header.lastOffsetDelta = readInt32(reader))],
  [0x41, (header, reader) => void (header.firstTimestampMs = readInt64(reader))],
  [0x49, (header, reader) => void (header.maxTimestampMs = readInt64(reader))],
  [0x55, (header, reader) => void (header.uncompressedBytes = readInt32(reader))],
  [0x5a, (header, reader) => void (header.producerId = readProducerId(reader))],
  [0x65, (header, reader) => void (header.producerEpoch = readInt32(reader))],
  [0x69, (header, reader) => void (header.firstSequence = readInt64(reader))],
  [0x75, (header, reader) => void (header.minKeyHash = readUint32(reader))],
  [0x7d, (header, reader) => void (header.maxKeyHash = readUint32(reader))],
  [0x80, (header, reader) => void (header.codec = reader.varint())],
  [0x88, (header, reader) => void (header.type = reader.varint())],
  [0x90, (header, reader) => void (header.hasTombstones = reader.varint() !== 0)],
] satisfies [number, (header: ForeignHeader, reader: WireReader) => void][]);

function readInt32(reader: WireReader): number {
  return int32At(reader.buf, reader.fixed(4));
}

function readUint32(reader: WireReader): number {
  return uint32At(reader.buf, reader.fixed(4));
}

function readInt64(reader: WireReader): bigint {
  return int64At(reader.buf, reader.fixed(8));
}

function readProducerId(reader: WireReader): Uint8Array {
  const id = reader.bytes();
  if (id.length === 0) return NO_PRODUCER;
  if (id.length !== PRODUCER_ID_BYTES) {
    throw invalidBatch(`producer_id has ${id.length} bytes; send the 16 bytes of a UUID, or none`);
  }
  return id;
}

function emptyHeader(): ForeignHeader {
  return {
    baseOffset: 0n,
    leaderEpoch: 0,
    appendTimeMs: 0n,
    headerCrc: 0,
    recordsCrc: 0,
    recordCount: 0,
    lastOffsetDelta: 0,
    firstTimestampMs: 0n,
    maxTimestampMs: 0n,
    uncompressedBytes: 0,
    producerId: NO_PRODUCER,
    producerEpoch: 0,
    firstSequence: 0n,
    minKeyHash: 0,
    maxKeyHash: 0,
    codec: 0,
    type: 0,
    hasTombstones: false,
  };
}
