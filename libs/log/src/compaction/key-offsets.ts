/**
 * The last offset of each key, exactly: keys are compared byte by byte, so no collision can take one record for another.
 * Open addressing over typed arrays and chunks of key bytes, instead of a Map, because its memory is known to the byte,
 * lies outside the garbage collector's heap, and a look-up makes no object.
 *
 * A slot is an address (0: empty), a hash and an offset. An address is chunk number << 16 | place; there stand the length
 * of the key, 4 bytes, and the key. A key that is longer than a chunk has one of its own.
 */
import { invariant } from '@partita/domain';

const CHUNK_BYTES = 64 * 1024;
const CHUNK_COUNT_MAX = 64 * 1024;
const LENGTH_BYTES = 4;
/** Address, hash and offset. */
const SLOT_BYTES = 4 + 4 + 8;
const SLOT_COUNT_MIN = 1024;
/** Used slots per slot before the table doubles. */
const LOAD_MAX = 0.7;
/** From this length on the engine's comparison is faster than a loop. */
const COMPARE_LOOP_BYTES_MAX = 32;

interface Slots {
  readonly addresses: Uint32Array;
  readonly hashes: Uint32Array;
  readonly offsets: Float64Array;
}

export class KeyOffsets {
  readonly #bytesMax: number;
  readonly #seed: number;
  readonly #chunks: Buffer[] = [Buffer.allocUnsafeSlow(CHUNK_BYTES)];
  #slots = emptySlots(SLOT_COUNT_MIN);
  #count = 0;
  /** Bytes used of the newest chunk. Place 0 of the first stays free: no key has address 0. */
  #used = LENGTH_BYTES;
  #chunksBytes = CHUNK_BYTES;

  /** `seed` is a random number: producers choose the keys, and must not be able to make all of them collide. */
  constructor(bytesMax: number, seed: number) {
    this.#bytesMax = bytesMax;
    this.#seed = seed;
  }

  /** Number of keys. */
  get count(): number {
    return this.#count;
  }

  /** Memory that it takes. */
  get bytes(): number {
    return this.#chunksBytes + this.#slots.addresses.length * SLOT_BYTES;
  }

  /** True when so many more keys, all of them new, stay within the memory; also while the table is copied to grow. */
  fits(keyCount: number, keyBytes: number): boolean {
    const present = this.#slots.addresses.length;
    let slotCount = present;
    while (this.#count + keyCount > slotCount * LOAD_MAX) slotCount *= 2;
    const tableBytes = (slotCount === present ? slotCount : slotCount + slotCount / 2) * SLOT_BYTES;
    // A key that does not fit into the rest of a chunk wastes that; chunks are at least half full of short ones.
    const newBytes = 2 * (keyBytes + keyCount * LENGTH_BYTES) + CHUNK_BYTES;
    const chunkCount = this.#chunks.length + Math.ceil((2 * newBytes) / CHUNK_BYTES);
    return tableBytes + this.#chunksBytes + newBytes <= this.#bytesMax && chunkCount <= CHUNK_COUNT_MAX;
  }

  /** Notes a later offset (an integer below 2^53) of the key that `bytes` hold from `start` to `end`. */
  set(bytes: Buffer, start: number, end: number, offset: number): void {
    const hash = hashOf(bytes, start, end, this.#seed);
    let slot = this.#find(bytes, start, end, hash);
    if (this.#slots.addresses[slot] === 0) {
      if (this.#count + 1 > this.#slots.addresses.length * LOAD_MAX) {
        this.#grow();
        slot = this.#find(bytes, start, end, hash);
      }
      this.#slots.addresses[slot] = this.#store(bytes, start, end);
      this.#slots.hashes[slot] = hash;
      this.#count += 1;
    }
    this.#slots.offsets[slot] = offset;
  }

  /** The last offset of the key; -1 when it has none. */
  get(bytes: Buffer, start: number, end: number): number {
    const slot = this.#find(bytes, start, end, hashOf(bytes, start, end, this.#seed));
    return this.#slots.addresses[slot] === 0 ? -1 : (this.#slots.offsets[slot] as number);
  }

  /** The slot of the key, or the empty one where it belongs. */
  #find(bytes: Buffer, start: number, end: number, hash: number): number {
    const { addresses, hashes } = this.#slots;
    const mask = addresses.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const address = addresses[slot] as number;
      if (address === 0) return slot;
      if (hashes[slot] === hash && this.#isKey(address, bytes, start, end)) return slot;
    }
  }

  #isKey(address: number, bytes: Buffer, start: number, end: number): boolean {
    const chunk = this.#chunks[address >>> 16] as Buffer;
    const place = address & 0xffff;
    const length = end - start;
    if (chunk.readUInt32LE(place) !== length) return false;
    const keyStart = place + LENGTH_BYTES;
    if (length > COMPARE_LOOP_BYTES_MAX) {
      return chunk.compare(bytes, start, end, keyStart, keyStart + length) === 0;
    }
    for (let index = 0; index < length; index += 1) {
      if (chunk[keyStart + index] !== bytes[start + index]) return false;
    }
    return true;
  }

  #store(bytes: Buffer, start: number, end: number): number {
    const needed = LENGTH_BYTES + end - start;
    if (this.#used + needed > CHUNK_BYTES) this.#addChunk(needed);
    const number = this.#chunks.length - 1;
    const chunk = this.#chunks[number] as Buffer;
    const place = this.#used;
    chunk.writeUInt32LE(end - start, place);
    bytes.copy(chunk, place + LENGTH_BYTES, start, end);
    this.#used += needed;
    return ((number << 16) | place) >>> 0;
  }

  #addChunk(needed: number): void {
    invariant(this.#chunks.length < CHUNK_COUNT_MAX, 'an address names at most 65536 chunks of keys');
    const chunk = Buffer.allocUnsafeSlow(Math.max(CHUNK_BYTES, needed));
    this.#chunks.push(chunk);
    this.#chunksBytes += chunk.length;
    this.#used = 0;
  }

  #grow(): void {
    const before = this.#slots;
    const after = emptySlots(before.addresses.length * 2);
    const mask = after.addresses.length - 1;
    for (let from = 0; from < before.addresses.length; from += 1) {
      const address = before.addresses[from] as number;
      if (address === 0) continue;
      const hash = before.hashes[from] as number;
      let to = hash & mask;
      while (after.addresses[to] !== 0) to = (to + 1) & mask;
      after.addresses[to] = address;
      after.hashes[to] = hash;
      after.offsets[to] = before.offsets[from] as number;
    }
    this.#slots = after;
  }
}

function emptySlots(count: number): Slots {
  return {
    addresses: new Uint32Array(count),
    hashes: new Uint32Array(count),
    offsets: new Float64Array(count),
  };
}

/** MurmurHash3 (x86, 32 bits) of a part of a buffer: the hash of libs/batch takes a view, which costs more than it. */
function hashOf(bytes: Buffer, start: number, end: number, seed: number): number {
  let hash = seed;
  let at = start;
  for (; at + 4 <= end; at += 4) {
    const word =
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24);
    hash ^= mixed(word);
    hash = Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64;
  }
  let rest = 0;
  for (let shift = 0; at < end; at += 1, shift += 8) rest |= (bytes[at] as number) << shift;
  hash ^= mixed(rest) ^ (end - start);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function mixed(word: number): number {
  const product = Math.imul(word, 0xcc9e2d51);
  return Math.imul((product << 15) | (product >>> 17), 0x1b873593);
}
