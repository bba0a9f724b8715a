import fc from 'fast-check';
import { expect, test } from 'vitest';
import { linesOf } from './lines.ts';

async function* chunksOf(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size);
}

async function texts(bytes: Uint8Array, size = 7): Promise<string[]> {
  const all: string[] = [];
  for await (const { number, text } of linesOf(chunksOf(bytes, size))) {
    expect(number).toBe(all.length + 1);
    all.push(text);
  }
  return all;
}

test('lines are the same however the bytes arrive', async () => {
  const line = fc.string({ unit: 'grapheme' }).map((text) => text.replace(/[\r\n]/g, ''));
  await fc.assert(
    fc.asyncProperty(fc.array(line), fc.integer({ min: 1, max: 20 }), async (lines, size) => {
      expect(await texts(Buffer.from(lines.map((text) => `${text}\n`).join('')), size)).toEqual(lines);
    }),
  );
});

test('the last line needs no end, and the ends of Windows are taken off', async () => {
  expect(await texts(Buffer.from('a\r\n\nb'))).toEqual(['a', '', 'b']);
});

test('a line that is no UTF-8 is named by its number', async () => {
  await expect(texts(Buffer.concat([Buffer.from('a\n'), Buffer.of(0xff, 10)]))).rejects.toThrow('line 2: no UTF-8');
});

test('a line without an end in sight is refused', async () => {
  await expect(texts(new Uint8Array(9 * 1024 * 1024).fill(65), 1 << 20)).rejects.toThrow('line 1: longer than');
});
