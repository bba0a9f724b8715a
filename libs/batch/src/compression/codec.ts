/** Compression of a batch's records by codec number, and decompression that no input can use to fill the memory. */
import { BATCH_UNCOMPRESSED_BYTES_MAX } from '@partita/domain';
import type { PartitaError } from '@partita/domain';
import { CODEC_GZIP, CODEC_LZ4, CODEC_NONE, CODEC_ZSTD } from '../batch-header.ts';
import type { BatchCodec } from '../batch-header.ts';
import { batchTooLarge, invalidBatch, unsupportedCodec } from '../faults.ts';
import { compressGzip, decompressGzip } from './gzip.ts';
import { compressLz4, decompressLz4 } from './lz4.ts';
import { compressZstd, decompressZstd } from './zstd.ts';

interface Codec {
  readonly compress: (bytes: Uint8Array) => Uint8Array;
  /** Unpacks at most `bytesMax` bytes; may throw any Error. */
  readonly decompress: (bytes: Uint8Array, bytesMax: number) => Uint8Array;
}

const CODECS: Readonly<Record<BatchCodec, Codec>> = {
  [CODEC_NONE]: { compress: (bytes) => bytes, decompress: (bytes) => bytes },
  [CODEC_ZSTD]: { compress: compressZstd, decompress: decompressZstd },
  [CODEC_LZ4]: { compress: compressLz4, decompress: decompressLz4 },
  [CODEC_GZIP]: { compress: compressGzip, decompress: decompressGzip },
};

/** True for a value of partita.v1.CompressionCodec that can be stored. */
export function isBatchCodec(codec: number): codec is BatchCodec {
  return Number.isInteger(codec) && codec >= CODEC_NONE && codec <= CODEC_GZIP;
}

/** `bytes` compressed with `codec`; the input itself for NONE. */
export function compress(codec: BatchCodec, bytes: Uint8Array): Uint8Array {
  return CODECS[codec].compress(bytes);
}

/**
 * Unpacks `bytes`, which must give exactly `uncompressedBytes` (the batch header's claim): a claim above 16 MiB is
 * BATCH_TOO_LARGE and anything that does not fit the claim INVALID_BATCH, found before more than the claim is unpacked.
 */
export function decompress(codec: number, bytes: Uint8Array, uncompressedBytes: number): Uint8Array {
  if (!isBatchCodec(codec)) {
    throw unsupportedCodec(codec);
  }
  if (uncompressedBytes > BATCH_UNCOMPRESSED_BYTES_MAX) {
    throw batchTooLarge(
      'bytes',
      'a batch before compression in bytes',
      uncompressedBytes,
      BATCH_UNCOMPRESSED_BYTES_MAX,
    );
  }
  if (uncompressedBytes === 0 && bytes.length === 0) return bytes;
  const unpacked = unpack(codec, bytes, uncompressedBytes);
  if (unpacked.length !== uncompressedBytes) throw falseClaim(uncompressedBytes);
  return unpacked;
}

function unpack(codec: BatchCodec, bytes: Uint8Array, uncompressedBytes: number): Uint8Array {
  if (uncompressedBytes < 1) throw falseClaim(uncompressedBytes);
  try {
    return CODECS[codec].decompress(bytes, uncompressedBytes);
  } catch (error) {
    throw falseClaim(uncompressedBytes, error);
  }
}

function falseClaim(uncompressedBytes: number, cause?: unknown): PartitaError {
  const why = cause instanceof Error ? ` (${cause.message})` : '';
  const message = `the records do not unpack to the ${uncompressedBytes} bytes of uncompressed_bytes${why}`;
  return invalidBatch(message, { uncompressed_bytes: String(uncompressedBytes) }, cause);
}
