import { describe, expect, it } from 'vitest';
import { FaultyDisk } from './faulty-disk.ts';

const PAGE = 4096;

/** A disk with the file /d/a, `durable` of it synced; what `write` does then is not. */
async function torn(seed: number, durable: Buffer, write: (disk: FaultyDisk) => Promise<void>): Promise<FaultyDisk> {
  const disk = new FaultyDisk({ seed });
  const life = disk.start();
  await life.makeDirectory('/d');
  await life.syncDirectory('/');
  const file = await life.open('/d/a', 'create');
  await file.writev([durable], 0);
  await file.datasync();
  await life.syncDirectory('/d');
  await write(disk);
  return disk;
}

/** What is left of /d/a after each of many power cuts. */
async function survivors(durable: Buffer, bytes: Buffer, position: number): Promise<Buffer[]> {
  const found: Buffer[] = [];
  for (let seed = 0; seed < 300; seed += 1) {
    const disk = await torn(seed, durable, async (running) => {
      const file = await running.start().open('/d/a', 'write');
      await file.writev([bytes], position);
    });
    disk.cutPower();
    found.push(await disk.start().readFile('/d/a'));
  }
  return found;
}

describe('a power cut', () => {
  it('keeps what was synced, and of the rest any byte count, any pages, or zeros where a page is missing', async () => {
    const durable = Buffer.alloc(1000, 'a');
    const left = await survivors(durable, Buffer.alloc(3 * PAGE, 'b'), 1000);
    for (const content of left) expect(content.subarray(0, 1000).equals(durable)).toBe(true);
    const lengths = new Set(left.map(({ length }) => length));
    expect([...lengths].filter((length) => length % PAGE !== 0).length).toBeGreaterThan(20);
    expect(lengths.has(1000)).toBe(true);
    expect(lengths.has(1000 + 3 * PAGE)).toBe(true);
    const hasHole = left.some((content) => content.includes(Buffer.alloc(PAGE - 1000)) && content.at(-1) !== 0);
    expect(hasHole).toBe(true);
  });

  it('tears what is written over between sectors only', async () => {
    const left = await survivors(Buffer.alloc(2 * PAGE, 'a'), Buffer.alloc(2 * PAGE, 'b'), 0);
    const starts = left.map((content) => content.toString('latin1').replaceAll(/(.)\1*/g, (run) => `${run.length} `));
    for (const run of starts.flatMap((text) => text.trim().split(' '))) expect(Number(run) % 512).toBe(0);
    expect(new Set(starts).size).toBeGreaterThan(4);
  });

  it('keeps or loses each name by itself, but a rename as one', async () => {
    const seen = new Set<string>();
    for (let seed = 0; seed < 300; seed += 1) {
      const disk = await torn(seed, Buffer.from('old'), async (running) => {
        const life = running.start();
        const file = await life.open('/d/a.new', 'create');
        await file.writev([Buffer.from('new')], 0);
        await file.datasync();
        await life.rename('/d/a.new', '/d/a');
        await life.open('/d/b', 'create');
      });
      disk.cutPower();
      const life = disk.start();
      const names = await life.list('/d');
      seen.add(`${names.join(' ')}: ${(await life.readFile('/d/a')).toString()}`);
    }
    expect([...seen].sort()).toEqual(['a a.new b: old', 'a a.new: old', 'a b: new', 'a b: old', 'a: new', 'a: old']);
  });

  it('loses a directory whose name was not synced, with all in it', async () => {
    const disk = new FaultyDisk({ seed: 3 });
    const life = disk.start();
    await life.makeDirectory('/d');
    await life.open('/d/a', 'create');
    await life.syncDirectory('/d');
    for (let count = 0; count < 20 && disk.names.isDirectory('/d'); count += 1) disk.cutPower();
    expect(disk.names.isDirectory('/d') === (disk.names.file('/d/a') !== undefined)).toBe(true);
  });

  it('at the n-th call ends the program there', async () => {
    const disk = await torn(5, Buffer.from('old'), async () => Promise.resolve());
    const life = disk.start();
    disk.faults.failAt(2, 'power');
    const file = await life.open('/d/a', 'write');
    await expect(file.datasync()).rejects.toMatchObject({ code: 'POWER_OFF' });
    await expect(life.list('/d')).rejects.toMatchObject({ code: 'POWER_OFF' });
    expect(disk.isRunning).toBe(false);
    expect(disk.wasCut).toBe(true);
    expect((await disk.start().readFile('/d/a')).toString()).toBe('old');
  });
});

describe('a failed sync', () => {
  it('leaves pages that are read back, but that no later sync writes unless they are written to again', async () => {
    let lostCount = 0;
    for (let seed = 0; seed < 50; seed += 1) {
      for (const isWrittenAgain of [false, true]) {
        const bytes = Buffer.from('new');
        const disk = await torn(seed, Buffer.from('old'), async (running) => {
          const file = await running.start().open('/d/a', 'write');
          await file.writev([bytes], 0);
          running.faults.failAt(1, 'EIO');
          await expect(file.datasync()).rejects.toMatchObject({ code: 'EIO' });
          const seen = Buffer.alloc(3);
          await file.read(seen, 0);
          expect(seen).toEqual(bytes);
          if (isWrittenAgain) await file.writev([bytes], 0);
          await file.datasync();
        });
        disk.cutPower();
        const content = (await disk.start().readFile('/d/a')).toString();
        if (isWrittenAgain) expect(content).toBe('new');
        else if (content === 'old') lostCount += 1;
      }
    }
    expect(lostCount).toBeGreaterThan(10);
  });
});

describe('a flipped bit', () => {
  it('of a reading is gone at the next, that of a stored file stays until it is written over', async () => {
    const disk = await torn(9, Buffer.alloc(100), async () => Promise.resolve());
    const life = disk.start();
    disk.rates.readFlip = 1;
    expect((await life.readFile('/d/a')).equals(Buffer.alloc(100))).toBe(false);
    disk.rates.readFlip = 0;
    expect((await life.readFile('/d/a')).equals(Buffer.alloc(100))).toBe(true);
    disk.flip('/d/a');
    disk.cutPower();
    const again = disk.start();
    expect((await again.readFile('/d/a')).equals(Buffer.alloc(100))).toBe(false);
    expect(disk.names.file('/d/a')?.flips).toHaveLength(1);
    const file = await again.open('/d/a', 'write');
    await file.writev([Buffer.alloc(100)], 0);
    expect(disk.names.file('/d/a')?.flips).toEqual([]);
  });
});

it('an error in the middle of a write leaves a part, and a full disk says so', async () => {
  const disk = await torn(11, Buffer.from('old'), async () => Promise.resolve());
  const life = disk.start();
  const file = await life.open('/d/a', 'write');
  disk.capacityBytes = 100;
  await expect(file.writev([Buffer.alloc(1000, 'x')], 3)).rejects.toMatchObject({ code: 'ENOSPC' });
  expect((await life.freeBytes('/d')).freeBytes).toBeLessThan(98);
  disk.capacityBytes = 10_000;
  disk.faults.failAt(1, 'EIO');
  await expect(file.writev([Buffer.alloc(1000, 'y')], 3)).rejects.toMatchObject({ code: 'EIO' });
  expect(await file.size()).toBeLessThan(1003);
});

it('slow calls overtake each other, the same way for the same seed', async () => {
  const orders: string[] = [];
  for (const seed of [1, 1, 2]) {
    const order: number[] = [];
    const disk = await torn(seed, Buffer.from('old'), async () => Promise.resolve());
    disk.rates.turnsMax = 20;
    const life = disk.start();
    const calls = Array.from({ length: 10 }, async (_, number) => {
      await life.readFile('/d/a');
      order.push(number);
    });
    await Promise.all(calls);
    orders.push(order.join());
  }
  expect(orders[0]).toBe(orders[1]);
  expect(orders[0]).not.toBe(orders[2]);
});
