/**
 * The requests that a partition remembers by their ids: sessions of one batch. Like all that a partition remembers it is a
 * fold of the log. A request is forgotten REQUEST_EXPIRY_MS after it was appended, by the log's own time. Since append
 * times never fall in a log, rows stand in the order of expiry: a ring that is filled at its end and emptied at its front.
 *
 * Tens of thousands of requests are an ordinary load, so one is a row of bytes, not an object. Rows are also the plain form
 * in which requests travel and lie in snapshots, oldest first; little-endian but for the id, ROW_BYTES each:
 *
 *      0  request id, 16 bytes of its UUID     24  append_time_ms int64, milliseconds UTC
 *     16  base_offset int64                    32  record count   uint32
 *
 * A request is found by a hash of its id: one chain of rows per bucket, newest first, so that the row that goes first is
 * always a chain's last. Ids are chosen by clients, who could make them collide; REQUEST_COUNT_MAX bounds what that costs.
 */
import { invariant } from './invariant.ts';
import { REQUEST_COUNT_MAX, REQUEST_EXPIRY_MS } from './limits.ts';

/** One remembered request, as it lies in the log. */
export interface RequestEntry {
  /** 16 bytes, hex. */
  readonly requestId: string;
  readonly recordCount: number;
  readonly baseOffset: bigint;
  /** Leader's time, milliseconds UTC. */
  readonly appendTimeMs: bigint;
}

const ROW_BYTES = 36;
const ID_WORDS = 4;
const WORD_BYTES = 4;
const HEX_CHARS_PER_WORD = 8;
const OFFSET_AT = 16;
const TIME_AT = 24;
const COUNT_AT = 32;
const ROW_COUNT_MIN = 16;
const NONE = -1;
const EXPIRY_MS = BigInt(REQUEST_EXPIRY_MS);

export class RequestTable {
  /** A ring of `#heads.length` rows, a power of two. */
  #bytes = new Uint8Array(0);
  #view = new DataView(this.#bytes.buffer);
  /** By bucket: its newest row. */
  #heads = new Int32Array(0);
  /** By row: the next older one of its bucket. */
  #older = new Int32Array(0);
  #first = 0;
  #count = 0;

  /** From the rows of another table, which it copies. */
  constructor(rows: Uint8Array = new Uint8Array(0)) {
    invariant(rows.length % ROW_BYTES === 0, `requests are rows of ${ROW_BYTES} bytes, not ${rows.length} in all`);
    this.#fill(rows, rows.length / ROW_BYTES);
  }

  /** The request, if it has not expired at the log's time `nowMs`. */
  find(requestId: string, nowMs: bigint): RequestEntry | undefined {
    if (this.#count === 0) return undefined;
    const [a, b, c, d] = wordsOf(requestId);
    let row = this.#heads[this.#bucketOf(a, b, c, d)] ?? NONE;
    while (row !== NONE && !this.#hasId(row, a, b, c, d)) row = this.#older[row] ?? NONE;
    return row === NONE || this.#hasExpired(row, nowMs) ? undefined : this.#entryAt(row);
  }

  /** Requests that have not expired at the log's time `nowMs`. */
  count(nowMs: bigint): number {
    return this.#count - this.#expiredCount(nowMs);
  }

  /** True when a further request would be one too many at the log's time `nowMs`. */
  isFull(nowMs: bigint): boolean {
    return this.#count >= REQUEST_COUNT_MAX && this.count(nowMs) >= REQUEST_COUNT_MAX;
  }

  /** Requests that have not expired at the log's time `nowMs`, oldest first. */
  entries(nowMs: bigint): RequestEntry[] {
    const expired = this.#expiredCount(nowMs);
    return Array.from({ length: this.#count - expired }, (_, index) => this.#entryAt(this.#rowAt(expired + index)));
  }

  /** The same as bytes of their own. */
  rows(nowMs: bigint): Uint8Array {
    const expired = this.#expiredCount(nowMs);
    const rows = new Uint8Array((this.#count - expired) * ROW_BYTES);
    const begin = this.#rowAt(expired) * ROW_BYTES;
    const straight = this.#bytes.subarray(begin, begin + rows.length);
    rows.set(straight);
    rows.set(this.#bytes.subarray(0, rows.length - straight.length), straight.length);
    return rows;
  }

  /** Offset of the oldest request that was appended after `timeMs`. */
  firstOffsetAfter(timeMs: bigint): bigint | undefined {
    for (let index = 0; index < this.#count; index += 1) {
      const row = this.#rowAt(index);
      if (this.#timeAt(row) > timeMs) return this.#view.getBigInt64(row * ROW_BYTES + OFFSET_AT, true);
    }
    return undefined;
  }

  /** Takes in the next batch of the log that is a request. */
  note({ requestId, recordCount, baseOffset, appendTimeMs }: RequestEntry): void {
    this.forgetExpired(appendTimeMs);
    if (this.#count === this.#heads.length) this.#fill(this.rows(appendTimeMs), this.#count + 1);
    const row = this.#rowAt(this.#count);
    wordsOf(requestId).forEach((word, index) => this.#view.setUint32(row * ROW_BYTES + index * WORD_BYTES, word));
    this.#view.setBigInt64(row * ROW_BYTES + OFFSET_AT, baseOffset, true);
    this.#view.setBigInt64(row * ROW_BYTES + TIME_AT, appendTimeMs, true);
    this.#view.setUint32(row * ROW_BYTES + COUNT_AT, recordCount, true);
    this.#link(row);
    this.#count += 1;
  }

  /** Gives up what has expired, and most of the memory of a table that was much larger once. */
  forgetExpired(nowMs: bigint): void {
    while (this.#count > 0 && this.#hasExpired(this.#first, nowMs)) {
      this.#unlink(this.#first);
      this.#first = this.#rowAt(1);
      this.#count -= 1;
    }
    const isRoomy = this.#heads.length > ROW_COUNT_MIN && this.#count < this.#heads.length / 8;
    if (isRoomy) this.#fill(this.rows(nowMs), this.#count * 2);
  }

  /** Begins anew with the rows, and room for `rowCountMin` at least. */
  #fill(rows: Uint8Array, rowCountMin: number): void {
    const count = rows.length / ROW_BYTES;
    let rowCount = rowCountMin === 0 ? 0 : ROW_COUNT_MIN;
    while (rowCount < rowCountMin) rowCount *= 2;
    this.#bytes = new Uint8Array(rowCount * ROW_BYTES);
    this.#bytes.set(rows);
    this.#view = new DataView(this.#bytes.buffer);
    this.#heads = new Int32Array(rowCount).fill(NONE);
    this.#older = new Int32Array(rowCount).fill(NONE);
    this.#first = 0;
    this.#count = count;
    for (let row = 0; row < count; row += 1) this.#link(row);
  }

  #link(row: number): void {
    const bucket = this.#bucketAt(row);
    this.#older[row] = this.#heads[bucket] ?? NONE;
    this.#heads[bucket] = row;
  }

  /** Takes the oldest row out of its chain. */
  #unlink(row: number): void {
    const bucket = this.#bucketAt(row);
    let newer = this.#heads[bucket] ?? NONE;
    if (newer === row) {
      this.#heads[bucket] = NONE;
      return;
    }
    while (this.#older[newer] !== row) newer = this.#older[newer] ?? NONE;
    this.#older[newer] = NONE;
  }

  #expiredCount(nowMs: bigint): number {
    let expired = 0;
    while (expired < this.#count && this.#hasExpired(this.#rowAt(expired), nowMs)) expired += 1;
    return expired;
  }

  #hasExpired(row: number, nowMs: bigint): boolean {
    return nowMs - this.#timeAt(row) > EXPIRY_MS;
  }

  #rowAt(index: number): number {
    return (this.#first + index) & (this.#heads.length - 1);
  }

  #timeAt(row: number): bigint {
    return this.#view.getBigInt64(row * ROW_BYTES + TIME_AT, true);
  }

  #wordAt(row: number, index: number): number {
    return this.#view.getUint32(row * ROW_BYTES + index * WORD_BYTES);
  }

  #hasId(row: number, a: number, b: number, c: number, d: number): boolean {
    // The last words differ most often.
    return (
      this.#wordAt(row, 3) === d &&
      this.#wordAt(row, 2) === c &&
      this.#wordAt(row, 1) === b &&
      this.#wordAt(row, 0) === a
    );
  }

  #entryAt(row: number): RequestEntry {
    let requestId = '';
    for (let index = 0; index < ID_WORDS; index += 1) {
      requestId += this.#wordAt(row, index).toString(16).padStart(HEX_CHARS_PER_WORD, '0');
    }
    return {
      requestId,
      recordCount: this.#view.getUint32(row * ROW_BYTES + COUNT_AT, true),
      baseOffset: this.#view.getBigInt64(row * ROW_BYTES + OFFSET_AT, true),
      appendTimeMs: this.#timeAt(row),
    };
  }

  #bucketAt(row: number): number {
    return this.#bucketOf(this.#wordAt(row, 0), this.#wordAt(row, 1), this.#wordAt(row, 2), this.#wordAt(row, 3));
  }

  #bucketOf(a: number, b: number, c: number, d: number): number {
    return mixed(mixed(mixed(mixed(a) ^ b) ^ c) ^ d) & (this.#heads.length - 1);
  }
}

/** Spreads a word over its lower bits, which choose a bucket. */
function mixed(word: number): number {
  const product = Math.imul(word, 0x9e37_79b1);
  return product ^ (product >>> 15);
}

function wordsOf(id: string): [number, number, number, number] {
  return [wordIn(id, 0), wordIn(id, 1), wordIn(id, 2), wordIn(id, 3)];
}

function wordIn(id: string, index: number): number {
  return parseInt(id.slice(index * HEX_CHARS_PER_WORD, (index + 1) * HEX_CHARS_PER_WORD), 16);
}
