/**
 * One partition on its way to a member: what was read ahead, and the position. The buffer holds batches as they came;
 * one batch at a time is decoded, when its turn has come. Read-ahead is bounded: a full feed pauses its reading.
 */
import { batchesIn, BATCH_DATA } from '@partita/batch';
import type { BatchHeader, DecodedRecord } from '@partita/batch';
import type { PartitaError } from '@partita/domain';
import type { LeaderReader, Reading } from '@partita/client';
import type { FetchedPartition, PartitionWatermark } from '@partita/protocol';
import type { PartitionName } from './leader-calls.ts';
import type { Arrival } from './receive-span.ts';
import { decodeStored } from './stored-batch.ts';

/**
 * Bytes that a broker sends ahead to one member, of all its partitions there: given back as the member takes them over, so
 * that a slow one holds no more than this and nothing is read twice.
 */
export const FEED_PACE = { windowBytes: 4 * 1024 * 1024, isReleased: true } as const;
/**
 * A partition that its member has paused must not keep the window from the others: it gives its bytes back at once, and
 * stops reading at this many. What a broker has sent meanwhile is dropped and read again.
 */
const FEED_BYTES_MAX = 1024 * 1024;
const FEED_BYTES_LOW = 256 * 1024;

/** A batch as stored, whose turn has come. */
export interface FeedBatch {
  readonly header: BatchHeader;
  /** A serialised RecordBatches with this batch only. */
  readonly bytes: Uint8Array;
}

/** Told of news by its feed. */
export interface FeedListener {
  /** There is more to deliver, or the end of the log is reached, or both. */
  onNews(feed: PartitionFeed): void;
  /** Reading has ended. */
  onFault(feed: PartitionFeed, error: PartitaError): void;
}

interface Chunk {
  readonly batches: readonly FeedBatch[];
  index: number;
  readonly bytes: number;
  readonly nextOffset: bigint;
  readonly arrival: Arrival;
  /** Gives the bytes back to the window; once. */
  release: (() => void) | undefined;
}

/** The batch that is being delivered. */
interface OpenBatch {
  readonly header: BatchHeader;
  readonly records: readonly DecodedRecord[];
  index: number;
}

export class PartitionFeed {
  readonly name: PartitionName;
  readonly assignmentEpoch: number;
  /** Offset of the next record to deliver. */
  position: bigint;
  /** Highest seen. */
  highWatermark: bigint;
  /** The member's number of its last seek. */
  seekId = 0n;
  /** True while a seek is being resolved. */
  held = false;
  /** True = the member has been told that it is caught up, and not otherwise since. */
  toldCaughtUp = false;
  readonly #reader: LeaderReader;
  readonly #listener: FeedListener;
  #reading: Reading | undefined;
  #paused = false;
  #readingPaused = false;
  #chunks: Chunk[] = [];
  #bufferedBytes = 0;
  #decoded: OpenBatch | undefined;
  /** Everything below it has been read. */
  #readEnd: bigint;
  /** When the reading began, or the last batches came, by performance.now(). */
  #askedMs = 0;

  constructor(options: {
    readonly name: PartitionName;
    readonly assignmentEpoch: number;
    readonly position: bigint;
    readonly highWatermark: bigint;
    readonly reader: LeaderReader;
    readonly listener: FeedListener;
  }) {
    this.name = options.name;
    this.assignmentEpoch = options.assignmentEpoch;
    this.position = options.position;
    this.highWatermark = options.highWatermark;
    this.#readEnd = options.position;
    this.#reader = options.reader;
    this.#listener = options.listener;
  }

  /** Begins to read. */
  start(): void {
    this.#askedMs = performance.now();
    this.#reading = this.#reader.read({
      ...this.name,
      offset: this.position,
      onBatches: (data, release) => this.#onBatches(data, release),
      onWatermark: (mark, caughtUp) => this.#onWatermark(mark, caughtUp),
      onError: (error) => this.#listener.onFault(this, error),
    });
  }

  /** True = the member has asked for a pause. */
  get paused(): boolean {
    return this.#paused;
  }

  setPaused(paused: boolean): void {
    this.#paused = paused;
    if (paused) this.#keepBack();
  }

  close(): void {
    this.#reading?.close();
    this.#drop();
  }

  /** Goes on at another offset; what was read ahead is dropped. */
  moveTo(offset: bigint): void {
    this.#reading?.close();
    this.#drop();
    this.#readingPaused = false;
    this.position = offset;
    this.#readEnd = offset;
    this.toldCaughtUp = false;
    this.start();
  }

  /** Gives the memory of a half delivered batch back; its turn comes again. */
  park(): void {
    this.#decoded = undefined;
  }

  /** Read, and not yet taken. */
  get bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  /** True when there is something to deliver and the member wants it. Decodes nothing. */
  get isReady(): boolean {
    return !this.#paused && !this.held && (this.#decoded !== undefined || this.#chunks.length > 0);
  }

  /** True when everything committed has been delivered. */
  get isCaughtUp(): boolean {
    return this.#decoded === undefined && this.#chunks.length === 0 && this.position >= this.highWatermark;
  }

  /** True between the first and the last record of a decoded batch. */
  get isInsideBatch(): boolean {
    return this.#decoded !== undefined;
  }

  /** How that came whose turn it is. */
  get arrival(): Arrival | undefined {
    return this.#chunks[0]?.arrival;
  }

  /** The next record, decoding its batch if need be; undefined when nothing is left. Throws CORRUPT_BATCH and the like. */
  peekRecord(): { readonly record: DecodedRecord; readonly header: BatchHeader } | undefined {
    for (;;) {
      const decoded = this.#decoded ?? this.#decodeNext();
      if (decoded === undefined) return undefined;
      const record = decoded.records[decoded.index];
      if (record === undefined) this.#finishBatch();
      else if (record.offset < this.position) decoded.index += 1;
      else return { record, header: decoded.header };
    }
  }

  /** Goes past the record that `peekRecord` gave. */
  takeRecord(record: DecodedRecord): void {
    this.position = record.offset + 1n;
    const decoded = this.#decoded;
    if (decoded === undefined) return;
    decoded.index += 1;
    if (decoded.index >= decoded.records.length) this.#finishBatch();
  }

  /** The next batch of records as stored; undefined when nothing is left. */
  peekBatch(): FeedBatch | undefined {
    for (let chunk = this.#chunks[0]; chunk !== undefined; chunk = this.#chunks[0]) {
      const batch = chunk.batches[chunk.index];
      if (batch !== undefined) return batch;
      this.#finishChunk(chunk);
    }
    return undefined;
  }

  /** Goes past the batch that `peekBatch` gave. */
  takeBatch(batch: FeedBatch): void {
    this.position = batch.header.baseOffset + BigInt(batch.header.lastOffsetDelta) + 1n;
    this.#finishBatch();
  }

  #onBatches(data: FetchedPartition, release: () => void): void {
    if (data.highWatermark > this.highWatermark) this.highWatermark = data.highWatermark;
    const batches: FeedBatch[] = [];
    for (const { position, header } of batchesIn(data.recordBatches)) {
      const lastOffset = header.baseOffset + BigInt(header.lastOffsetDelta);
      // Control batches take offsets and are never shown; the first batch may lie below the position.
      if (header.type !== BATCH_DATA || header.recordCount === 0 || lastOffset < this.position) continue;
      batches.push({ header, bytes: data.recordBatches.subarray(position, position + header.batchBytes) });
    }
    const bytes = data.recordBatches.byteLength;
    const arrival = { askedMs: this.#askedMs, arrivedMs: performance.now(), bytes, fetch: undefined };
    this.#askedMs = arrival.arrivedMs;
    this.#chunks.push({ batches, index: 0, bytes, nextOffset: data.nextOffset, arrival, release });
    this.#bufferedBytes += bytes;
    this.#readEnd = data.nextOffset;
    if (batches.length === 0) this.peekBatch();
    if (this.#paused) this.#keepBack();
    this.#listener.onNews(this);
  }

  /** What is kept for a paused member is not kept from its other partitions. */
  #keepBack(): void {
    for (const chunk of this.#chunks) free(chunk);
    if (this.#bufferedBytes < FEED_BYTES_MAX || this.#readingPaused) return;
    this.#readingPaused = true;
    this.#reading?.pause();
  }

  #onWatermark(mark: PartitionWatermark, caughtUp: boolean): void {
    if (mark.highWatermark > this.highWatermark) this.highWatermark = mark.highWatermark;
    if (!caughtUp) return;
    if (mark.highWatermark > this.#readEnd) this.#readEnd = mark.highWatermark;
    if (this.#chunks.length === 0 && this.#decoded === undefined && this.#readEnd > this.position)
      this.position = this.#readEnd;
    this.#listener.onNews(this);
  }

  #decodeNext(): OpenBatch | undefined {
    const batch = this.peekBatch();
    if (batch === undefined) return undefined;
    const { header, records } = decodeStored(batch.bytes, 0, this.name, batch.header.baseOffset);
    this.#decoded = { header, records, index: 0 };
    return this.#decoded;
  }

  #finishBatch(): void {
    this.#decoded = undefined;
    const chunk = this.#chunks[0];
    if (chunk === undefined) return;
    chunk.index += 1;
    if (chunk.index >= chunk.batches.length) this.#finishChunk(chunk);
  }

  /** Past the chunk's trailing control batches as well. */
  #finishChunk(chunk: Chunk): void {
    this.#chunks.shift();
    free(chunk);
    this.#bufferedBytes -= chunk.bytes;
    if (chunk.nextOffset > this.position) this.position = chunk.nextOffset;
    if (this.#chunks.length === 0 && this.#readEnd > this.position) this.position = this.#readEnd;
    if (this.#readingPaused && this.#bufferedBytes <= FEED_BYTES_LOW) {
      this.#readingPaused = false;
      this.#reading?.resume();
    }
  }

  #drop(): void {
    for (const chunk of this.#chunks) free(chunk);
    this.#chunks = [];
    this.#bufferedBytes = 0;
    this.#decoded = undefined;
  }
}

function free(chunk: Chunk): void {
  chunk.release?.();
  chunk.release = undefined;
}
