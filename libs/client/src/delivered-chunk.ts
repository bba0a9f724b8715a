/** What arrived of one partition in one message, taken record by record: decoded records, or batches as they are stored. */
import { BATCH_DATA, batchesIn, decodeBatch, verifyHeaderCrc } from '@partita/batch';
import type { BatchHeader, DecodedRecord, PlacedBatch } from '@partita/batch';
import { PartitaError } from '@partita/domain';
import type { ConsumedRecord } from '@partita/protocol';
import type { PartitionName } from './held-partition.ts';
import { receivedBytes, receivedRecord, storedRecord } from './record-form.ts';
import type { ReceivedRecord } from './record-form.ts';

/** Told of what was gone past, so that as much may be sent again. */
export type Owe = (records: number, bytes: number) => void;

export interface DeliveredChunk {
  /** The next record, undefined at the end. Throws CORRUPT_BATCH and the like. */
  next(): ReceivedRecord | undefined;
  /** Goes past what is left. */
  drop(): void;
}

/** Records that the service has decoded. Each is owed for once it is taken. */
export class RecordsChunk implements DeliveredChunk {
  readonly #name: PartitionName;
  readonly #records: readonly ConsumedRecord[];
  readonly #owe: Owe;
  #next = 0;

  constructor(name: PartitionName, records: readonly ConsumedRecord[], owe: Owe) {
    this.#name = name;
    this.#records = records;
    this.#owe = owe;
  }

  next(): ReceivedRecord | undefined {
    const consumed = this.#records[this.#next];
    if (consumed === undefined) return undefined;
    this.#next += 1;
    this.#owe(1, receivedBytes(consumed));
    return receivedRecord(this.#name.topic, this.#name.partition, consumed);
  }

  drop(): void {
    for (; this.#next < this.#records.length; this.#next += 1) {
      const consumed = this.#records[this.#next];
      if (consumed !== undefined) this.#owe(1, receivedBytes(consumed));
    }
  }
}

export interface BatchesChunkOptions {
  readonly name: PartitionName;
  /** A serialised RecordBatches. */
  readonly bytes: Uint8Array;
  /** Records below it are not part of the delivery. */
  readonly fromOffset: bigint;
  /** Of the checksums of the batches' headers: headerSeed(). */
  readonly seed: number;
  /** True = the topic shows the append time in place of the records' own. */
  readonly isAppendTime: boolean;
  readonly owe: Owe;
  /** The traceparent that a record goes on with, '' = its own; asked for records that have one. */
  readonly traceparentOf?: ((record: ReceivedRecord) => string) | undefined;
}

/**
 * Batches as stored. One at a time is checked, decompressed and decoded, when its turn has come, so the buffer holds what
 * was sent and one decoded batch. They are owed for when the last record is taken: only then is their memory given back.
 */
export class BatchesChunk implements DeliveredChunk {
  readonly #options: BatchesChunkOptions;
  readonly #batches: readonly PlacedBatch[];
  readonly #recordCount: number;
  #nextBatch = 0;
  #header: BatchHeader | undefined;
  #records: readonly DecodedRecord[] = [];
  #nextRecord = 0;
  #isOver = false;

  /** Throws INVALID_BATCH for what is no row of batches. */
  constructor(options: BatchesChunkOptions) {
    this.#options = options;
    this.#batches = [...batchesIn(options.bytes)];
    this.#recordCount = this.#batches.reduce((sum, { header }) => sum + header.recordCount, 0);
  }

  /** Epoch of the last batch; 0 = there is none. */
  get lastEpoch(): number {
    return this.#batches.at(-1)?.header.leaderEpoch ?? 0;
  }

  /** Offset after the last batch; undefined = there is none. */
  get endOffset(): bigint | undefined {
    const header = this.#batches.at(-1)?.header;
    return header === undefined ? undefined : header.baseOffset + BigInt(header.lastOffsetDelta) + 1n;
  }

  next(): ReceivedRecord | undefined {
    const { name, fromOffset, isAppendTime } = this.#options;
    for (;;) {
      const record = this.#records[this.#nextRecord];
      if (record === undefined || this.#header === undefined) {
        if (!this.#open()) return undefined;
        continue;
      }
      this.#nextRecord += 1;
      if (record.offset < fromOffset) continue;
      const received = storedRecord(name, record, this.#header, isAppendTime);
      return record.traceparent === '' ? received : this.#traced(received);
    }
  }

  drop(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#nextBatch = this.#batches.length;
    this.#header = undefined;
    this.#records = [];
    this.#options.owe(this.#recordCount, this.#options.bytes.byteLength);
  }

  #traced(record: ReceivedRecord): ReceivedRecord {
    const traceparent = this.#options.traceparentOf?.(record) ?? '';
    return traceparent === '' ? record : { ...record, traceparent };
  }

  /** Decodes the next batch with records; false at the end. Control batches take offsets and are never shown. */
  #open(): boolean {
    for (let placed = this.#batches[this.#nextBatch]; placed !== undefined; placed = this.#batches[this.#nextBatch]) {
      this.#nextBatch += 1;
      const { header } = placed;
      const isWanted = header.baseOffset + BigInt(header.lastOffsetDelta) >= this.#options.fromOffset;
      if (header.type !== BATCH_DATA || header.recordCount === 0 || !isWanted) continue;
      this.#records = this.#decode(placed);
      this.#header = header;
      this.#nextRecord = 0;
      return true;
    }
    this.drop();
    return false;
  }

  #decode({ header, position }: PlacedBatch): readonly DecodedRecord[] {
    const { bytes, seed, name } = this.#options;
    const where = { topic: name.topic, partition: String(name.partition), offset: String(header.baseOffset) };
    const text = `the batch at offset ${header.baseOffset} of partition ${name.partition} of "${name.topic}"`;
    if (!verifyHeaderCrc(bytes, position, seed))
      throw new PartitaError('CORRUPT_BATCH', `${text} has a header that was not stamped for it`, where);
    try {
      return decodeBatch(bytes, position).records;
    } catch (error) {
      if (!(error instanceof PartitaError)) throw error;
      if (error.reason === 'UNSUPPORTED_CODEC') throw error;
      throw new PartitaError('CORRUPT_BATCH', `${text} cannot be read: ${error.message}`, where, { cause: error });
    }
  }
}
