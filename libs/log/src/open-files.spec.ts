import { MemoryDisk } from '@partita/testkit';
import { describe, expect, it } from 'vitest';
import { OpenFiles } from './open-files.ts';

async function filesOf(...paths: string[]): Promise<MemoryDisk> {
  const disk = new MemoryDisk();
  await disk.makeDirectory('/data');
  for (const path of paths) await (await disk.open(path, 'create')).close();
  return disk;
}

describe('the open files', () => {
  it('are used at once, before the caller goes on', async () => {
    const files = new OpenFiles(await filesOf('/data/a'), 10);
    await files.use('/data/a', async () => {});
    let isUsed = false;
    const using = files.use('/data/a', async () => {
      isUsed = true;
    });
    expect(isUsed).toBe(true);
    await using;
  });

  it('are closed when they are idle and too many, the least recently used first', async () => {
    const files = new OpenFiles(await filesOf('/data/a', '/data/b', '/data/c'), 2);
    for (const path of ['/data/a', '/data/b', '/data/a', '/data/c']) await files.use(path, async () => {});
    expect(files.count).toBe(2);
    const first = await files.use('/data/a', async (file) => file);
    await files.use('/data/b', async () => {});
    expect(await files.use('/data/a', async (file) => file)).toBe(first);
  });

  it('are opened anew after a close, and when they could not be opened', async () => {
    const disk = await filesOf('/data/a');
    const files = new OpenFiles(disk, 2);
    await expect(files.use('/data/b', async () => {})).rejects.toThrow('ENOENT');
    await (await disk.open('/data/b', 'create')).close();
    const before = await files.use('/data/b', async (file) => file);
    await files.close('/data/b');
    expect(await files.use('/data/b', async (file) => file)).not.toBe(before);
  });
});
