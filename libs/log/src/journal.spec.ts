import { MemoryDisk } from '@partita/testkit';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { openJournal } from './journal.ts';
import type { Journal } from './journal.ts';

const FILES = ['/d/meta.journal.0', '/d/meta.journal.1'];

async function makeDisk(): Promise<MemoryDisk> {
  const disk = new MemoryDisk();
  await disk.makeDirectory('/d');
  return disk;
}

function values(journal: Journal): Record<string, string> {
  return Object.fromEntries([...journal.entries()].map(([key, value]) => [key, Buffer.from(value).toString()]));
}

function puts(entries: Record<string, string>): Map<string, Uint8Array> {
  return new Map(Object.entries(entries).map(([key, value]) => [key, Buffer.from(value)]));
}

/** Number of the file in charge: the one with the higher generation. */
async function fileInCharge(disk: MemoryDisk): Promise<string> {
  const [first, second] = [await disk.readFile(FILES[0]!), await disk.readFile(FILES[1]!)];
  return first.readBigUInt64LE(8) > second.readBigUInt64LE(8) ? FILES[0]! : FILES[1]!;
}

it('keeps what was put through power cuts, latest value and deletions', async () => {
  const disk = await makeDisk();
  const journal = await openJournal({ disk, dir: '/d', bytesMax: 4096 });
  await journal.put(puts({ a: '1', b: '2' }));
  await journal.put(puts({ a: '3', '': 'empty key', c: '', d: 'x' }));
  await journal.put(new Map([['d', undefined]]));
  await journal.delete(['b', 'none']);
  disk.crash();
  const again = await openJournal({ disk, dir: '/d', bytesMax: 4096 });
  expect(values(again)).toEqual({ a: '3', '': 'empty key', c: '' });
  expect(again.get('b')).toBeUndefined();
});

it('makes all that waits durable with one fsync', async () => {
  const disk = await makeDisk();
  const journal = await openJournal({ disk, dir: '/d', bytesMax: 1_000_000 });
  const before = disk.counts.get('datasync') ?? 0;
  await Promise.all(Array.from({ length: 1000 }, (_, index) => journal.put(puts({ [`p${index}`]: 'promise' }))));
  expect((disk.counts.get('datasync') ?? 0) - before).toBe(1);
  expect(values(journal)['p999']).toBe('promise');
});

it('never needs more space than it took at first', async () => {
  const disk = await makeDisk();
  const journal = await openJournal({ disk, dir: '/d', bytesMax: 4096 });
  disk.capacityBytes = 0;
  for (let round = 0; round < 200; round += 1) await journal.put(puts({ [`k${round % 7}`]: `value ${round}` }));
  await journal.close();
  disk.crash();
  expect(values(await openJournal({ disk, dir: '/d' }))['k3']).toBe('value 199');
});

it('refuses what does not fit and goes on with what does', async () => {
  const disk = await makeDisk();
  const journal = await openJournal({ disk, dir: '/d', bytesMax: 1024 });
  await journal.put(puts({ a: 'x'.repeat(500) }));
  await expect(journal.put(puts({ b: 'x'.repeat(500) }))).rejects.toMatchObject({ reason: 'LIMIT_EXCEEDED' });
  await journal.put(puts({ a: 'y'.repeat(900) }));
  await journal.delete(['a']);
  await journal.put(puts({ b: 'x'.repeat(900) }));
  disk.crash();
  expect(values(await openJournal({ disk, dir: '/d' }))).toEqual({ b: 'x'.repeat(900) });
});

it('promises nothing more after a failed fsync', async () => {
  const disk = await makeDisk();
  const journal = await openJournal({ disk, dir: '/d', bytesMax: 4096 });
  await journal.put(puts({ a: '1' }));
  disk.failNext('datasync', 'EIO');
  await expect(journal.put(puts({ a: '2' }))).rejects.toMatchObject({ reason: 'STORAGE_FAILED' });
  await expect(journal.put(puts({ a: '3' }))).rejects.toMatchObject({ reason: 'STORAGE_FAILED' });
  expect(values(journal)).toEqual({ a: '1' });
});

it('passes over a torn last entry, wherever it is torn', async () => {
  const disk = await makeDisk();
  const journal = await openJournal({ disk, dir: '/d', bytesMax: 4096 });
  await journal.put(puts({ a: '1' }));
  const file = await fileInCharge(disk);
  const before = await disk.readFile(file);
  await journal.put(puts({ a: '2', b: '3' }));
  const after = await disk.readFile(file);
  const snapshot = await Promise.all(FILES.map((path) => disk.readFile(path)));
  const changed = [...after.keys()].filter((at) => after[at] !== before[at]);
  for (let at = changed[0]!; at < changed.at(-1)!; at += 1) {
    FILES.forEach((path, number) => disk.tamper(path, () => snapshot[number]!));
    disk.tamper(file, (content) => Buffer.concat([content.subarray(0, at), before.subarray(at)]));
    expect(values(await openJournal({ disk, dir: '/d' }))).toEqual({ a: '1' });
  }
});

it('refuses a journal with a damaged entry before the last, or a damaged header', async () => {
  const disk = await makeDisk();
  const journal = await openJournal({ disk, dir: '/d', bytesMax: 4096 });
  await journal.put(puts({ a: '1' }));
  await journal.put(puts({ b: '2' }));
  const file = await fileInCharge(disk);
  const whole = await disk.readFile(file);
  for (const at of [0, 5, 9, 17, 30, 64, 68, 72, 80]) {
    disk.tamper(file, () => {
      const copy = Buffer.from(whole);
      copy[at]! ^= 1;
      return copy;
    });
    await expect(openJournal({ disk, dir: '/d' })).rejects.toMatchObject({ reason: 'CORRUPT_BATCH' });
  }
  disk.tamper(file, () => whole);
  await disk.unlink(FILES[1]!);
  await expect(openJournal({ disk, dir: '/d' })).rejects.toMatchObject({ reason: 'CORRUPT_BATCH' });
});

it('is after any power cut what was answered, plus at most what was being put', async () => {
  const change = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), fc.option(fc.string({ maxLength: 300 })), {
    minKeys: 1,
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(change, { maxLength: 30 }),
      fc.integer({ min: 0, max: 40 }),
      fc.infiniteStream(fc.boolean()),
      async (changes, turns, keeps) => {
        const disk = await makeDisk();
        const journal = await openJournal({ disk, dir: '/d', bytesMax: 2048 });
        const model: Record<string, string> = {};
        const states = [{ ...model }];
        for (const [number, entries] of changes.entries()) {
          const put = Object.entries(entries).filter(([, value]) => value !== null) as [string, string][];
          const gone = Object.keys(entries).filter((key) => entries[key] === null);
          const done = [journal.put(puts(Object.fromEntries(put))), journal.delete(gone)];
          for (const [key, value] of put) model[key] = value;
          states.push({ ...model });
          for (const key of gone) Reflect.deleteProperty(model, key);
          states.push({ ...model });
          if (number < changes.length - 1) {
            await Promise.all(done);
            states.splice(0, states.length - 1);
          } else {
            for (const promise of done) promise.catch(() => undefined);
            for (let turn = 0; turn < turns; turn += 1) await new Promise(setImmediate);
          }
        }
        disk.crash(() => keeps.next().value === true);
        const found = values(await openJournal({ disk, dir: '/d' }));
        expect(states).toContainEqual(found);
        expect(values(await openJournal({ disk, dir: '/d' }))).toEqual(found);
      },
    ),
    { numRuns: 80 },
  );
});
