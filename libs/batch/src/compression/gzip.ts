import { constants, gunzipSync, gzipSync } from 'node:zlib';
import { wholeOutput } from './zlib-whole.ts';

/** gzip (RFC 1952) at the fastest level: its ratio on records is near that of the default, at a multiple of the speed. */
export function compressGzip(bytes: Uint8Array): Buffer {
  return gzipSync(bytes, { level: constants.Z_BEST_SPEED });
}

/** Inflates, giving up as soon as the output passes `bytesMax`. Throws what zlib throws. */
export function decompressGzip(bytes: Uint8Array, bytesMax: number): Buffer {
  return wholeOutput(gunzipSync(bytes, { maxOutputLength: bytesMax, info: true }), bytes);
}
