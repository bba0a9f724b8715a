import { crc32c as native } from '@node-rs/crc32';

/**
 * CRC-32C (Castagnoli) of `bytes`, unsigned 32 bits. `seed` is the CRC of what comes before them, so that
 * `crc32c(b, crc32c(a))` is the CRC of a and b together; 0 begins anew.
 */
export function crc32c(bytes: Uint8Array, seed = 0): number {
  return native(bytes, seed);
}
