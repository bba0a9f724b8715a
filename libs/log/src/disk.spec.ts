import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FaultyDisk, MemoryDisk } from '@partita/testkit';
import { afterAll, expect, it } from 'vitest';
import { describeDisk } from './disk.conformance.ts';
import { createNodeDisk } from './node-disk.ts';

const directories: string[] = [];
afterAll(async () => {
  for (const directory of directories) await rm(directory, { recursive: true });
});

describeDisk('the disk of this machine', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'partita-disk-'));
  directories.push(directory);
  return { disk: createNodeDisk(), directory };
});

describeDisk('the memory disk', async () => {
  const disk = new MemoryDisk();
  await disk.makeDirectory('/data');
  return { disk, directory: '/data' };
});

describeDisk('the faulty disk', async () => {
  const disk = new FaultyDisk({ seed: 1 }).start();
  await disk.makeDirectory('/data');
  return { disk, directory: '/data' };
});

it('a crash of the memory disk loses what was not synced, names and bytes', async () => {
  const disk = new MemoryDisk();
  await disk.makeDirectory('/d');
  const file = await disk.open('/d/a', 'create');
  await file.writev([Buffer.from('one')], 0);
  await file.datasync();
  await disk.syncDirectory('/d');
  await file.writev([Buffer.alloc(10_000, 'x')], 3);
  await disk.open('/d/b', 'create');
  disk.crash((_, page) => page === 1);
  expect(await disk.list('/d')).toEqual(['a']);
  const content = await disk.readFile('/d/a');
  expect(content.length).toBe(8192);
  expect(content.toString('latin1', 0, 6)).toBe('one\0\0\0');
  expect(content.toString('latin1', 4096, 4100)).toBe('xxxx');
  await expect(file.size()).rejects.toMatchObject({ code: 'EBADF' });
});
