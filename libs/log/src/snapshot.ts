/**
 * The state of a partition before a segment (log-state.ts), in `<base offset>.snapshot`: the fold of all that came
 * before, so that it outlives the segments it was made from. Written atomically before the segment's first byte; one
 * that a clean stop writes belongs to the offset where the next batch will lie. Little-endian:
 *
 *      0  50 41 52 54 ("PART")             24  data_end       int64 (behind the last data record)
 *      4  format_version uint32, 1         32  section count  uint32
 *      8  base_offset    int64             36  sections, each: kind uint32, length uint32, content
 *     16  last_append_time_ms int64 (0: nothing appended before)
 *    end  crc uint32, CRC-32C of all before it
 *
 * Kind 1, epochs, oldest first:        epoch int32, start offset int64
 * Kind 2, configs, newest first, and
 * kind 3, claim, none or one:          batch type uint32, offset int64, length uint32, content of the control record
 * Kind 4, producers:                   oldest last batch first: producer id 16 bytes, epoch int32, batch count uint32, then
 *                                      each batch, oldest first: first sequence int64, last sequence int64,
 *                                      records_crc uint32, base offset int64, append time int64
 * Kind 5, unclean epochs: epoch int32 of each of kind 1 whose leader was forced; absent in files of older releases,
 *                         which knew of none
 * Kind 6, requests: rows of 36 bytes as in libs/domain/src/request-table.ts, oldest first; absent in files of older releases
 *
 * A kind that is not known is passed over, so that a release can add one that the release before it ignores.
 */
import { crc32c } from '@partita/batch';
import type { BatchType } from '@partita/batch';
import { NO_PRODUCERS, PartitaError } from '@partita/domain';
import type { ProducedBatch, ProducerEntry, ProducerFacts } from '@partita/domain';
import type { EpochStart } from './epoch-history.ts';

const MAGIC = 0x54524150;
const FORMAT_VERSION = 1;
const HEAD_BYTES = 36;
const SECTION_HEAD_BYTES = 8;
const CRC_BYTES = 4;
const EPOCHS = 1;
const EPOCH_BYTES = 12;
const CONFIGS = 2;
const CLAIM = 3;
const CONTROL_HEAD_BYTES = 16;
const PRODUCERS = 4;
const UNCLEAN = 5;
const UNCLEAN_BYTES = 4;
const REQUESTS = 6;
const PRODUCER_HEAD_BYTES = 24;
const PRODUCED_BYTES = 36;

/** A control record of the log. */
export interface ControlRecord {
  readonly type: BatchType;
  readonly offset: bigint;
  /** The serialised message. */
  readonly content: Buffer;
}

export interface Snapshot {
  /** Everything below it is in the snapshot. */
  readonly baseOffset: bigint;
  /** Append time of the last batch below it, milliseconds UTC; 0 when there is none. */
  readonly lastAppendTimeMs: bigint;
  /** Behind the last data record below it; 0 when there is none. */
  readonly dataEnd: bigint;
  readonly epochs: readonly EpochStart[];
  /** Newest first. */
  readonly configs: readonly ControlRecord[];
  readonly claim: ControlRecord | undefined;
  readonly producers: ProducerFacts;
}

/** The state of a log that never held anything. */
export const EMPTY_SNAPSHOT: Snapshot = Object.freeze({
  baseOffset: 0n,
  lastAppendTimeMs: 0n,
  dataEnd: 0n,
  epochs: [],
  configs: [],
  claim: undefined,
  producers: NO_PRODUCERS,
});

export function encodeSnapshot(snapshot: Snapshot): Buffer {
  const { baseOffset, lastAppendTimeMs, dataEnd, epochs, configs, claim, producers } = snapshot;
  const sections = [
    section(EPOCHS, epochs.map(encodeEpoch)),
    section(CONFIGS, configs.map(encodeControl)),
    section(CLAIM, claim === undefined ? [] : [encodeControl(claim)]),
    section(PRODUCERS, producers.sessions.map(encodeProducer)),
    section(UNCLEAN, epochs.filter(({ unclean }) => unclean).map(encodeUnclean)),
    section(REQUESTS, [producers.requests]),
  ];
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32LE(MAGIC, 0);
  head.writeUInt32LE(FORMAT_VERSION, 4);
  head.writeBigInt64LE(baseOffset, 8);
  head.writeBigInt64LE(lastAppendTimeMs, 16);
  head.writeBigInt64LE(dataEnd, 24);
  head.writeUInt32LE(sections.length, 32);
  const bytes = Buffer.concat([head, ...sections, Buffer.alloc(CRC_BYTES)]);
  bytes.writeUInt32LE(crc32c(bytes.subarray(0, -CRC_BYTES)), bytes.length - CRC_BYTES);
  return bytes;
}

/** The snapshot, or undefined when the bytes are damaged or of a version that this release does not know. */
export function decodeSnapshot(bytes: Buffer): Snapshot | undefined {
  const end = bytes.length - CRC_BYTES;
  if (end < HEAD_BYTES || crc32c(bytes.subarray(0, end)) !== bytes.readUInt32LE(end)) return undefined;
  if (bytes.readUInt32LE(0) !== MAGIC || bytes.readUInt32LE(4) !== FORMAT_VERSION) return undefined;
  const sections = new Map<number, Buffer>();
  let at = HEAD_BYTES;
  for (let left = bytes.readUInt32LE(32); left > 0; left -= 1) {
    const begin = at + SECTION_HEAD_BYTES;
    const next = begin + bytes.readUInt32LE(at + 4);
    sections.set(bytes.readUInt32LE(at), bytes.subarray(begin, next));
    at = next;
  }
  const content = (kind: number): Buffer => sections.get(kind) ?? Buffer.alloc(0);
  return {
    baseOffset: bytes.readBigInt64LE(8),
    lastAppendTimeMs: bytes.readBigInt64LE(16),
    dataEnd: bytes.readBigInt64LE(24),
    epochs: decodeEpochs(content(EPOCHS), content(UNCLEAN)),
    configs: decodeControls(content(CONFIGS)),
    claim: decodeControls(content(CLAIM))[0],
    producers: { sessions: decodeProducers(content(PRODUCERS)), requests: new Uint8Array(content(REQUESTS)) },
  };
}

/**
 * The snapshot that a peer sent for the offset. CORRUPT_BATCH when it is damaged or belongs elsewhere, VERSION_NOT_SUPPORTED
 * when the peer runs a newer release.
 */
export function parseSnapshot(content: Buffer, baseOffset: bigint): Snapshot {
  const snapshot = decodeSnapshot(content);
  if (snapshot?.baseOffset === baseOffset) return snapshot;
  const version = content.length < HEAD_BYTES || content.readUInt32LE(0) !== MAGIC ? 0 : content.readUInt32LE(4);
  if (version > FORMAT_VERSION) {
    throw new PartitaError(
      'VERSION_NOT_SUPPORTED',
      `a snapshot has format version ${version}, this broker reads ${FORMAT_VERSION}; run the release that wrote it`,
      { found: String(version), supported: String(FORMAT_VERSION) },
    );
  }
  const why = snapshot === undefined ? 'is damaged' : `belongs to offset ${snapshot.baseOffset}`;
  throw new PartitaError('CORRUPT_BATCH', `the snapshot for offset ${baseOffset} ${why}; ask for it again`, {
    offset: String(baseOffset),
  });
}

function section(kind: number, parts: readonly Uint8Array[]): Buffer {
  const head = Buffer.alloc(SECTION_HEAD_BYTES);
  head.writeUInt32LE(kind, 0);
  head.writeUInt32LE(
    parts.reduce((sum, part) => sum + part.length, 0),
    4,
  );
  return Buffer.concat([head, ...parts]);
}

function encodeEpoch({ epoch, startOffset }: EpochStart): Buffer {
  const bytes = Buffer.alloc(EPOCH_BYTES);
  bytes.writeInt32LE(epoch, 0);
  bytes.writeBigInt64LE(startOffset, 4);
  return bytes;
}

function encodeUnclean({ epoch }: EpochStart): Buffer {
  const bytes = Buffer.alloc(UNCLEAN_BYTES);
  bytes.writeInt32LE(epoch, 0);
  return bytes;
}

function decodeEpochs(bytes: Buffer, uncleanBytes: Buffer): EpochStart[] {
  const unclean = new Set<number>();
  for (let at = 0; at < uncleanBytes.length; at += UNCLEAN_BYTES) unclean.add(uncleanBytes.readInt32LE(at));
  const epochs: EpochStart[] = [];
  for (let at = 0; at < bytes.length; at += EPOCH_BYTES) {
    const epoch = bytes.readInt32LE(at);
    epochs.push({ epoch, startOffset: bytes.readBigInt64LE(at + 4), unclean: unclean.has(epoch) });
  }
  return epochs;
}

function encodeControl({ type, offset, content }: ControlRecord): Buffer {
  const head = Buffer.alloc(CONTROL_HEAD_BYTES);
  head.writeUInt32LE(type, 0);
  head.writeBigInt64LE(offset, 4);
  head.writeUInt32LE(content.length, 12);
  return Buffer.concat([head, content]);
}

function decodeControls(bytes: Buffer): ControlRecord[] {
  const records: ControlRecord[] = [];
  for (let at = 0; at < bytes.length;) {
    const begin = at + CONTROL_HEAD_BYTES;
    const end = begin + bytes.readUInt32LE(at + 12);
    records.push({
      type: bytes.readUInt32LE(at) as BatchType,
      offset: bytes.readBigInt64LE(at + 4),
      content: bytes.subarray(begin, end),
    });
    at = end;
  }
  return records;
}

function encodeProducer({ producerId, producerEpoch, batches }: ProducerEntry): Buffer {
  const bytes = Buffer.alloc(PRODUCER_HEAD_BYTES + batches.length * PRODUCED_BYTES);
  bytes.write(producerId, 0, 'hex');
  bytes.writeInt32LE(producerEpoch, 16);
  bytes.writeUInt32LE(batches.length, 20);
  batches.forEach(({ firstSequence, lastSequence, recordsCrc, baseOffset, appendTimeMs }, index) => {
    const at = PRODUCER_HEAD_BYTES + index * PRODUCED_BYTES;
    bytes.writeBigInt64LE(firstSequence, at);
    bytes.writeBigInt64LE(lastSequence, at + 8);
    bytes.writeUInt32LE(recordsCrc, at + 16);
    bytes.writeBigInt64LE(baseOffset, at + 20);
    bytes.writeBigInt64LE(appendTimeMs, at + 28);
  });
  return bytes;
}

function decodeProducers(bytes: Buffer): ProducerEntry[] {
  const producers: ProducerEntry[] = [];
  for (let at = 0; at < bytes.length;) {
    const begin = at + PRODUCER_HEAD_BYTES;
    const end = begin + bytes.readUInt32LE(at + 20) * PRODUCED_BYTES;
    const batches: ProducedBatch[] = [];
    for (let batchAt = begin; batchAt < end; batchAt += PRODUCED_BYTES) {
      batches.push({
        firstSequence: bytes.readBigInt64LE(batchAt),
        lastSequence: bytes.readBigInt64LE(batchAt + 8),
        recordsCrc: bytes.readUInt32LE(batchAt + 16),
        baseOffset: bytes.readBigInt64LE(batchAt + 20),
        appendTimeMs: bytes.readBigInt64LE(batchAt + 28),
      });
    }
    producers.push({
      producerId: bytes.toString('hex', at, at + 16),
      producerEpoch: bytes.readInt32LE(at + 16),
      batches,
    });
    at = end;
  }
  return producers;
}
