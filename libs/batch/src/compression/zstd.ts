import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { wholeOutput } from './zlib-whole.ts';

/**
 * Largest window that a frame may ask for, as a power of two: 16 MiB, what a whole batch unpacks to. Without it a frame
 * of a few bytes makes the decoder reserve 128 MiB.
 */
const WINDOW_LOG_MAX = 24;

/** Zstandard (RFC 8878), one frame, level 3. */
export function compressZstd(bytes: Uint8Array): Buffer {
  return zstdCompressSync(bytes);
}

/** Decompresses, giving up as soon as the output passes `bytesMax`. Throws what zlib throws. */
export function decompressZstd(bytes: Uint8Array, bytesMax: number): Buffer {
  const result = zstdDecompressSync(bytes, {
    maxOutputLength: bytesMax,
    info: true,
    params: { [constants.ZSTD_d_windowLogMax]: WINDOW_LOG_MAX },
  });
  return wholeOutput(result, bytes);
}
