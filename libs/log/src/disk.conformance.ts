/** What every disk must do; run by disk.spec.ts against the disk of this machine and the memory disk. */
import { describe, expect, it } from 'vitest';
import type { Disk } from './disk.ts';

/** Runs the suite; `make` gives a disk and an empty directory on it. */
export function describeDisk(name: string, make: () => Promise<{ disk: Disk; directory: string }>): void {
  describe(name, () => {
    it('reads back what writev put at a position', async () => {
      const { disk, directory } = await make();
      const file = await disk.open(`${directory}/a`, 'create');
      await file.writev([Buffer.from('one'), Buffer.alloc(0), Buffer.from('two')], 0);
      await file.writev([Buffer.from('X')], 2);
      await file.datasync();
      const buffer = Buffer.alloc(10);
      expect(await file.read(buffer, 1)).toBe(5);
      expect(buffer.toString('latin1', 0, 5)).toBe('nXtwo');
      expect(await file.size()).toBe(6);
      await file.close();
    });

    it.each([2, 3000])('reads back %i buffers that writeSynced put at a position', async (count) => {
      const { disk, directory } = await make();
      await (await disk.open(`${directory}/a`, 'create')).close();
      const file = await disk.open(`${directory}/a`, 'write');
      await file.writev([Buffer.from('head')], 0);
      const buffers = Array.from({ length: count }, (_, index) => Buffer.from(`${index},`));
      await file.writeSynced(buffers, 4);
      await file.writeSynced([Buffer.from('HE')], 0);
      await file.close();
      const expected = Buffer.concat([Buffer.from('HEad'), ...buffers]);
      expect((await disk.readFile(`${directory}/a`)).equals(expected)).toBe(true);
    });

    it('takes more buffers in one writev than the kernel does', async () => {
      const { disk, directory } = await make();
      const file = await disk.open(`${directory}/a`, 'create');
      const buffers = Array.from({ length: 3000 }, (_, index) => Buffer.from(`${index},`));
      await file.writev(buffers, 0);
      await file.close();
      expect((await disk.readFile(`${directory}/a`)).equals(Buffer.concat(buffers))).toBe(true);
    });

    it('opens only what exists, creates only what does not', async () => {
      const { disk, directory } = await make();
      await expect(disk.open(`${directory}/a`, 'read')).rejects.toMatchObject({ code: 'ENOENT' });
      await expect(disk.open(`${directory}/a`, 'write')).rejects.toMatchObject({ code: 'ENOENT' });
      await (await disk.open(`${directory}/a`, 'create')).close();
      await expect(disk.open(`${directory}/a`, 'create')).rejects.toMatchObject({ code: 'EEXIST' });
      await expect(disk.open(`${directory}/none/a`, 'create')).rejects.toMatchObject({ code: 'ENOENT' });
    });

    it('cuts and extends a file', async () => {
      const { disk, directory } = await make();
      const file = await disk.open(`${directory}/a`, 'create');
      await file.writev([Buffer.from('abcdef')], 0);
      await file.truncate(2);
      await file.truncate(4);
      await file.close();
      expect(await disk.readFile(`${directory}/a`)).toEqual(Buffer.from('ab\0\0'));
      expect(await disk.fileBytes(`${directory}/a`)).toBe(4);
      await expect(disk.fileBytes(`${directory}/b`)).rejects.toMatchObject({ code: 'ENOENT' });
    });

    it('lists, renames over another file, and unlinks', async () => {
      const { disk, directory } = await make();
      await disk.makeDirectory(`${directory}/x/y`);
      await disk.makeDirectory(`${directory}/x/y`);
      await disk.writeFileAtomically(`${directory}/b`, Buffer.from('b'));
      await disk.writeFileAtomically(`${directory}/a`, Buffer.from('a'));
      expect(await disk.list(directory)).toEqual(['a', 'b', 'x']);
      await disk.rename(`${directory}/a`, `${directory}/b`);
      await disk.syncDirectory(directory);
      expect(await disk.list(directory)).toEqual(['b', 'x']);
      expect(await disk.readFile(`${directory}/b`)).toEqual(Buffer.from('a'));
      await disk.unlink(`${directory}/b`);
      await expect(disk.unlink(`${directory}/b`)).rejects.toMatchObject({ code: 'ENOENT' });
      await expect(disk.list(`${directory}/none`)).rejects.toMatchObject({ code: 'ENOENT' });
    });

    it('replaces a file atomically and leaves nothing else behind', async () => {
      const { disk, directory } = await make();
      await disk.writeFileAtomically(`${directory}/a`, Buffer.from('a long first content'));
      await disk.writeFileAtomically(`${directory}/a`, Buffer.from('short'));
      expect(await disk.readFile(`${directory}/a`)).toEqual(Buffer.from('short'));
      expect(await disk.list(directory)).toEqual(['a']);
    });

    it('tells the free bytes', async () => {
      const { disk, directory } = await make();
      const { freeBytes, totalBytes } = await disk.freeBytes(directory);
      expect(freeBytes).toBeGreaterThan(0);
      expect(totalBytes).toBeGreaterThanOrEqual(freeBytes);
    });
  });
}
