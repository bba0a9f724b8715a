import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PortBook } from './ports.ts';

describe('PortBook', () => {
  let home = '';
  beforeAll(() => {
    home = mkdtempSync(join(tmpdir(), 'partita-ports-'));
  });
  afterAll(() => rmSync(home, { recursive: true }));

  it('never gives one port to two listeners, and keeps clear of outgoing connections', async () => {
    const book = await PortBook.open(home);
    const addresses = [];
    for (let index = 0; index < 100; index += 1) addresses.push(await book.address(`listener-${index}`));
    expect(new Set(addresses).size).toBe(100);
    for (const address of addresses) expect(Number(address.split(':')[1])).toBeLessThan(32_000);
  });

  it('keeps a listener on its port over starts, unless somebody took it', async () => {
    const book = await PortBook.open(home);
    const first = await book.address('gateway');
    await book.save();
    expect(await (await PortBook.open(home)).address('gateway')).toBe(first);

    const taker = createServer();
    await new Promise<void>((resolve) => taker.listen(Number(first.split(':')[1]), '127.0.0.1', resolve));
    expect(await (await PortBook.open(home)).address('gateway')).not.toBe(first);
    await new Promise((resolve) => taker.close(resolve));
  });
});
