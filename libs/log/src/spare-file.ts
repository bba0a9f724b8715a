/**
 * The file `spare` in a data directory: zeros that make room for a start on a disk that is full to the last byte. A start
 * writes a lock, its identity, a checkpoint; without room for these, the records that are there could not even be read.
 */
import { diskErrorCode } from './disk.ts';
import type { Disk } from './disk.ts';

const SPARE_BYTES = 1024 * 1024;

/** Makes the file if it is not there; leaves things as they are when the disk has no room for it. */
export async function keepSpareFile(disk: Disk, dir: string): Promise<void> {
  const path = `${dir}/spare`;
  try {
    const file = await disk.open(path, 'create');
    try {
      await file.writev([Buffer.alloc(SPARE_BYTES)], 0);
      await file.datasync();
    } finally {
      await file.close();
    }
  } catch (error) {
    const code = diskErrorCode(error);
    if (code === 'EEXIST') return;
    if (code !== 'ENOSPC') throw error;
    await disk.unlink(path);
  }
}

/** Gives its room back; false when there is no such file. */
export async function releaseSpareFile(disk: Disk, dir: string): Promise<boolean> {
  try {
    await disk.unlink(`${dir}/spare`);
    return true;
  } catch (error) {
    if (diskErrorCode(error) === 'ENOENT') return false;
    throw error;
  }
}
