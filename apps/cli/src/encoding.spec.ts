import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ENCODINGS, printable, toBytes, toText } from './encoding.ts';

describe('bytes as text', () => {
  test.each(['base64', 'hex'] as const)('%s gives back any bytes', (encoding) => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(Uint8Array.from(toBytes(toText(bytes, encoding) ?? '', encoding))).toEqual(bytes);
      }),
    );
  });

  test('utf8 gives back any text, and says when bytes are none', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => toText(toBytes(text, 'utf8'), 'utf8') === text));
    expect(toText(Uint8Array.of(0xff), 'utf8')).toBeUndefined();
  });

  test('text in another encoding than it should be is refused', () => {
    expect(() => toBytes('abc', 'base64')).toThrow('no base64');
    expect(() => toBytes('abc', 'hex')).toThrow('no hex');
    expect(() => toBytes('zz', 'hex')).toThrow('no hex');
    expect(ENCODINGS).toEqual(['utf8', 'base64', 'hex']);
  });
});

test('nothing printed can move the cursor of a terminal', () => {
  expect(printable('a\n\t\u001B[2Jb\u009B')).toBe('a\\n\\t\\x1b[2Jb\\x9b');
});
