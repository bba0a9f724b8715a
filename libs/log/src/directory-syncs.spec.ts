import { describe, expect, it } from 'vitest';
import { DirectorySyncs } from './directory-syncs.ts';
import type { Disk } from './disk.ts';
import { createNodeDisk } from './node-disk.ts';

/** A disk whose syncs end when the test says so. */
function slowDisk() {
  const begun: { directory: string; end: (error?: Error) => void }[] = [];
  const disk: Disk = {
    ...createNodeDisk(),
    syncDirectory: (directory) =>
      new Promise((resolve, reject) => {
        begun.push({ directory, end: (error) => (error === undefined ? resolve() : reject(error)) });
      }),
  };
  return { begun, syncs: new DirectorySyncs(disk) };
}

const soon = () => new Promise<void>((resolve) => void setImmediate(resolve));

describe('syncs of directories', () => {
  it('are shared by all that ask before one begins, and by nobody who asks later', async () => {
    const { begun, syncs } = slowDisk();
    const ended: string[] = [];
    const ask = (name: string) => syncs.sync('/d').then(() => ended.push(name));
    const first = [ask('a'), ask('b')];
    await soon();
    expect(begun).toHaveLength(1);
    const second = [ask('c'), ask('d')];
    await soon();
    expect(begun).toHaveLength(1);
    begun[0]?.end();
    await Promise.all(first);
    await soon();
    expect(ended).toEqual(['a', 'b']);
    expect(begun).toHaveLength(2);
    begun[1]?.end();
    await Promise.all(second);
    expect(ended).toEqual(['a', 'b', 'c', 'd']);
  });

  it('of two directories go on at once', async () => {
    const { begun, syncs } = slowDisk();
    const both = [syncs.sync('/a'), syncs.sync('/b')];
    await soon();
    expect(begun.map(({ directory }) => directory)).toEqual(['/a', '/b']);
    for (const { end } of begun) end();
    await Promise.all(both);
  });

  it('fail for those who share one; the next is tried', async () => {
    const { begun, syncs } = slowDisk();
    const first = syncs.sync('/d');
    await soon();
    const second = syncs.sync('/d');
    begun[0]?.end(new Error('EIO'));
    await expect(first).rejects.toThrow('EIO');
    await soon();
    begun[1]?.end();
    await expect(second).resolves.toBeUndefined();
  });
});
