import xxhash from 'xxhash-wasm';

/** Compiled once per process, before the first import of this module returns. */
const xxh = await xxhash();

/**
 * Hash of a record's key: xxHash32 with seed 0 over the key's bytes, unsigned 32 bits. The partition whose range
 * holds it takes the record. Part of the public contract: it never changes.
 */
export function keyHash(key: Uint8Array): number {
  return xxh.h32Raw(key, 0);
}
