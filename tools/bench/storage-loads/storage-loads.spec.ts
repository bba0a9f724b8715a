import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LoadProcess } from '../child-process.ts';

describe('the storage loads', () => {
  let directory: string;
  let load: LoadProcess;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'partita-bench-'));
    load = await LoadProcess.start({ kind: 'storage', directory }, { UV_THREADPOOL_SIZE: '8' });
  });

  afterAll(async () => {
    await load.ended();
    await rm(directory, { recursive: true });
  });

  it.each(['append-os-1m', 'append-fsync-1m', 'append-os-rolls', 'read-1m', 'dirty-journal', 'codec-zstd-10k'])(
    'move the same bytes on both sides of the row "%s"',
    async (row) => {
      const [ours, raw] = [
        await load.run({ load: `${row} ours`, topic: '', seconds: 0.01 }),
        await load.run({ load: `${row} raw`, topic: '', seconds: 0.01 }),
      ];
      expect(ours.recordCount).toBeGreaterThan(0);
      expect(ours.durationMs).toBeGreaterThan(0);
      expect(ours.bytes / ours.recordCount).toBe(raw.bytes / raw.recordCount);
    },
    // A thousand files are synced, and a disk that others use takes its time.
    120_000,
  );

  it('keep the files of one row at a time', async () => {
    await load.run({ load: 'codec-none-10k ours', topic: '', seconds: 0.01 });
    expect(await readdir(directory)).toEqual(['codec-none-10k']);
  });

  it('refuse unknown rows and sides by name', async () => {
    await expect(load.run({ load: 'nap ours', topic: '', seconds: 1 })).rejects.toThrow(
      'no storage row is called "nap"',
    );
    await expect(load.run({ load: 'read-4k theirs', topic: '', seconds: 1 })).rejects.toThrow('not "theirs"');
  });
});
