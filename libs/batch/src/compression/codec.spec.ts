import { constants, gzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import fc from 'fast-check';
import { compressFrameSync } from 'lz4-napi';
import { describe, expect, it } from 'vitest';
import { CODEC_GZIP, CODEC_LZ4, CODEC_NONE, CODEC_ZSTD } from '../batch-header.ts';
import { keyHash } from '../key-hash.ts';
import { arbitraryCodec } from '../testing/batches.ts';
import { reasonOf } from '../testing/reason-of.ts';
import { compress, decompress, isBatchCodec } from './codec.ts';

/** Bytes with repeats at every distance, as records have them. */
const compressible = fc
  .array(fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 30 }), fc.nat(200)), { minLength: 1, maxLength: 30 })
  .map((runs) => Buffer.concat(runs.flatMap(([bytes, times]) => Array.from({ length: times + 1 }, () => bytes))));

describe('compression', () => {
  it('unpacks what it packed, with every codec', () => {
    fc.assert(
      fc.property(arbitraryCodec, compressible, (codec, bytes) => {
        expect(Buffer.compare(decompress(codec, compress(codec, bytes), bytes.length), bytes)).toBe(0);
      }),
    );
  });

  it('refuses a claim that is one byte off, with every codec', () => {
    const bytes = Buffer.from('partita '.repeat(100));
    for (const codec of [CODEC_NONE, CODEC_ZSTD, CODEC_LZ4, CODEC_GZIP] as const) {
      const packed = compress(codec, bytes);
      for (const claim of [bytes.length - 1, bytes.length + 1, 0, -1, 1]) {
        expect(reasonOf(() => decompress(codec, packed, claim))).toBe('INVALID_BATCH');
      }
    }
  });

  it('refuses bombs before they are unpacked', () => {
    const zeros = Buffer.alloc(64 << 20);
    for (const [codec, bomb] of [
      [CODEC_ZSTD, zstdCompressSync(zeros)],
      [CODEC_LZ4, compressFrameSync(zeros)],
      [CODEC_GZIP, gzipSync(zeros)],
    ] as const) {
      const before = process.memoryUsage().arrayBuffers;
      expect(reasonOf(() => decompress(codec, bomb, 1000))).toBe('INVALID_BATCH');
      expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 << 20);
      expect(reasonOf(() => decompress(codec, bomb, zeros.length))).toBe('BATCH_TOO_LARGE');
    }
  });

  it('refuses a zstd frame that wants a window above 16 MiB', () => {
    const bytes = Buffer.alloc(1000, 'abc');
    const wide = withWindowLog(zstdCompressSync(bytes, { params: { [constants.ZSTD_c_windowLog]: 10 } }));
    expect(zstdDecompressSync(wide).equals(bytes)).toBe(true);
    expect(reasonOf(() => decompress(CODEC_ZSTD, wide, bytes.length))).toBe('INVALID_BATCH');
  });

  it('refuses cut, damaged and continued frames', () => {
    const bytes = Buffer.from('partita '.repeat(100));
    for (const codec of [CODEC_ZSTD, CODEC_LZ4, CODEC_GZIP] as const) {
      const packed = Buffer.from(compress(codec, bytes));
      for (let cut = 0; cut < packed.length; cut++) {
        expect(reasonOf(() => decompress(codec, packed.subarray(0, cut), bytes.length))).toBe('INVALID_BATCH');
      }
      for (const tail of [packed, Buffer.alloc(1), Buffer.from('more')]) {
        const continued = Buffer.concat([packed, tail]);
        expect(reasonOf(() => decompress(codec, continued, bytes.length))).toBe('INVALID_BATCH');
      }
    }
  });

  it('names an unknown codec', () => {
    expect(reasonOf(() => decompress(9, Buffer.alloc(1), 1))).toBe('UNSUPPORTED_CODEC');
    expect([0, 1, 4, 5, 1.5, NaN].map(isBatchCodec)).toEqual([false, true, true, false, false, false]);
  });

  it('throws nothing but PartitaError for arbitrary and mutated input', () => {
    const packed = ([CODEC_ZSTD, CODEC_LZ4, CODEC_GZIP] as const).map((codec) =>
      Buffer.from(compress(codec, Buffer.from('records of a batch, records of a batch '.repeat(9)))),
    );
    fc.assert(
      fc.property(arbitraryCodec, fc.nat(), fc.nat(255), fc.uint8Array({ maxLength: 40 }), (codec, at, byte, noise) => {
        const changed = Buffer.from(packed[codec % 3] as Buffer);
        changed[at % changed.length] = byte;
        reasonOf(() => decompress(codec, changed, 351));
        reasonOf(() => decompress(codec, noise, 351));
      }),
      { numRuns: 2000 },
    );
  });
});

describe('LZ4 frames of other encoders', () => {
  const text = Buffer.from('abcdefghijklmnop');

  it('may link blocks, carry sizes and checksums, and store blocks as they are', () => {
    // Second block: no literals, a match of 16 at distance 16 (into the first), then 5 literals.
    const linked = Buffer.from([0x0c, 16, 0, 0x50, 0x31, 0x32, 0x33, 0x34, 0x35]);
    const plain = Buffer.concat([text, text, Buffer.from('12345')]);
    const frame = lz4Frame(
      [
        { stored: true, data: text },
        { stored: false, data: linked },
      ],
      plain,
    );
    expect(Buffer.from(decompress(CODEC_LZ4, frame, 37)).toString()).toBe(plain.toString());
    for (let at = 0; at < frame.length; at++) {
      const changed = Buffer.from(frame);
      changed[at] = (changed[at] as number) ^ 0x11;
      // The content size is a hint that the header checksum covers; every other byte is covered by a checksum too.
      expect([at, reasonOf(() => decompress(CODEC_LZ4, changed, 37))]).toEqual([at, 'INVALID_BATCH']);
    }
  });

  it('may have checksums of the native encoder', () => {
    const bytes = Buffer.from('partita '.repeat(30_000));
    const frame = compressFrameSync(bytes, { blockChecksums: true, contentChecksum: true });
    expect(Buffer.compare(decompress(CODEC_LZ4, frame, bytes.length), bytes)).toBe(0);
    frame[frame.length - 1] = (frame[frame.length - 1] as number) ^ 1;
    expect(reasonOf(() => decompress(CODEC_LZ4, frame, bytes.length))).toBe('INVALID_BATCH');
  });

  it('may not reach in front of the output', () => {
    const frame = lz4Frame([{ stored: false, data: Buffer.from([0x10, 0x61, 2, 0, 0]) }], Buffer.from('a'));
    expect(reasonOf(() => decompress(CODEC_LZ4, frame, 5))).toBe('INVALID_BATCH');
  });
});

function u32(value: number): Buffer {
  const out = Buffer.alloc(4);
  out.writeUInt32LE(value >>> 0);
  return out;
}

/** A frame with linked blocks, block checksums, content size and content checksum. */
function lz4Frame(blocks: readonly { stored: boolean; data: Buffer }[], content: Buffer): Buffer {
  const descriptor = Buffer.concat([Buffer.from([0x40 | 0x10 | 0x08 | 0x04, 0x40]), u32(content.length), u32(0)]);
  const framed = blocks.flatMap(({ stored, data }) => [
    u32(data.length + (stored ? 0x80000000 : 0)),
    data,
    u32(keyHash(data)),
  ]);
  const check = Buffer.from([(keyHash(descriptor) >>> 8) & 0xff]);
  return Buffer.concat([u32(0x184d2204), descriptor, check, ...framed, u32(0), u32(keyHash(content))]);
}

/** The same zstd frame without content size and with a window of 128 MiB in its header. */
function withWindowLog(frame: Buffer): Buffer {
  const descriptor = frame[4] as number;
  const single = (descriptor & 0x20) !== 0;
  const sizeBytes = [single ? 1 : 0, 2, 4, 8][descriptor >>> 6] as number;
  const blocks = frame.subarray(5 + (single ? 0 : 1) + sizeBytes);
  return Buffer.concat([frame.subarray(0, 4), Buffer.from([0x00, (27 - 10) << 3]), blocks]);
}
