/** Batches that are small, and would be huge or nothing at all once unpacked: headers and checksums are right, contents lie. */
import { constants, gzipSync, zstdCompressSync } from 'node:zlib';
import { compressFrameSync } from 'lz4-napi';
import { stockFields, withRecords } from './stock-library.ts';
import type { CodecName, StockFields } from './stock-library.ts';

const MIB = 1024 * 1024;
/** What each bomb unpacks to, far above what a process may take for one batch (16 MiB). */
export const BOMB_BYTES = 256 * MIB;
const CODEC_NUMBER = { ZSTD: 2, LZ4: 3, GZIP: 4 } as const;
type BombCodec = Exclude<CodecName, 'NONE'>;

export type PackedZeros = Readonly<Record<BombCodec, Uint8Array>>;

/** BOMB_BYTES of zeros, compressed. */
export function packedZeros(): PackedZeros {
  const zeros = Buffer.alloc(BOMB_BYTES);
  return {
    ZSTD: zstdCompressSync(zeros),
    LZ4: compressFrameSync(zeros),
    GZIP: gzipSync(zeros, { level: constants.Z_BEST_SPEED }),
  };
}

/** A good header of one record, over these records. */
function over(records: Uint8Array, codec: BombCodec | 'NONE', claims: StockFields): StockFields {
  const header = stockFields([{ value: 'as if it were small' }]);
  return withRecords({ ...header, codec: codec === 'NONE' ? 0 : CODEC_NUMBER[codec], ...claims }, records);
}

/** A zstd frame with a window of 128 MiB, which a decoder would reserve: the frame header of another one, made anew. */
function wideWindow(content: Uint8Array): Buffer {
  const frame = zstdCompressSync(content);
  const descriptor = frame[4] ?? 0;
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const sizeBytes = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >>> 6] ?? 0;
  const blocks = frame.subarray(5 + (isSingleSegment ? 0 : 1) + sizeBytes);
  return Buffer.concat([frame.subarray(0, 4), Buffer.from([0x00, (27 - 10) << 3]), blocks]);
}

/** Bombs whose claim is their size: the claim alone is too large. */
export function honestBombs(zeros: PackedZeros): [string, StockFields][] {
  return Object.entries(zeros).map(([codec, packed]) => [
    codec,
    over(packed, codec as BombCodec, { uncompressedBytes: BOMB_BYTES }),
  ]);
}

/** What a leader stores, since it unpacks nothing, and no reader can read. */
export function poison(packed: PackedZeros): [string, StockFields][] {
  const codecs = Object.keys(CODEC_NUMBER) as BombCodec[];
  const tinyRecords = Buffer.alloc(8 * MIB, Buffer.from([0x0a, 0x00]));
  const tinyHeaders = Buffer.concat([
    Buffer.from([0x0a, 0x80, 0x80, 0x80, 0x04]),
    Buffer.alloc(8 * MIB, Buffer.from([0x1a, 0x00])),
  ]);
  const gzipped = gzipSync(packed.GZIP);
  const small = stockFields([
    { key: 'a', value: 'v' },
    { key: 'b', value: 'w' },
  ]);
  return [
    ...codecs.map((codec): [string, StockFields] => [
      `a ${codec} bomb that claims 1000 bytes`,
      over(packed[codec], codec, { uncompressedBytes: 1000 }),
    ]),
    ...codecs.map((codec): [string, StockFields] => [
      `a ${codec} bomb that claims the 16 MiB that are allowed`,
      over(packed[codec], codec, { uncompressedBytes: 16 * MIB, recordCount: 100, lastOffsetDelta: 99 }),
    ]),
    [
      'a bomb in a bomb',
      over(gzipped, 'GZIP', { uncompressedBytes: packed.GZIP.length, recordCount: 9, lastOffsetDelta: 8 }),
    ],
    [
      'a zstd frame with a window of 128 MiB',
      over(wideWindow(Buffer.alloc(1000)), 'ZSTD', { uncompressedBytes: 1000 }),
    ],
    [
      'millions of empty records',
      over(zstdCompressSync(tinyRecords), 'ZSTD', {
        uncompressedBytes: 8 * MIB,
        recordCount: 100_000,
        lastOffsetDelta: 99_999,
      }),
    ],
    [
      'millions of empty headers',
      over(zstdCompressSync(tinyHeaders), 'ZSTD', {
        uncompressedBytes: tinyHeaders.length,
        recordCount: 9,
        lastOffsetDelta: 8,
      }),
    ],
    ['records that are no protobuf', over(Buffer.alloc(1000, 0xff), 'NONE', { uncompressedBytes: 1000 })],
    ['a record less than the header counts', { ...small, recordCount: 3, lastOffsetDelta: 2 }],
  ];
}
