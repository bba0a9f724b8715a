import { describe, expect, it } from 'vitest';
import { settle, unwrittenBytes } from './settle.ts';

function info(dirtyKib: number, writebackKib: number): string {
  return `MemTotal: 16 kB\nDirty:  ${dirtyKib} kB\nWriteback:   ${writebackKib} kB\nWritebackTmp:   7777777 kB\n`;
}

describe('the quiet between runs', () => {
  it('counts what waits to be written and what is being written', () => {
    expect(unwrittenBytes(info(1000, 24))).toBe(1024 * 1024);
    expect(unwrittenBytes('')).toBe(0);
  });

  it('lasts until little is left to be written', async () => {
    const left = [info(900_000, 0), info(0, 900_000), info(1000, 0)];
    await settle(() => left.shift() ?? info(900_000, 0));
    expect(left).toEqual([]);
  });
});
