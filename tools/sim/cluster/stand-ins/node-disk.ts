/** Stands in for libs/log's node-disk.ts in a simulated cluster: the disk is that of the process's machine. */
import type { Disk } from '@partita/log';
import { currentProcess } from '../processes.ts';

export function createNodeDisk(): Disk {
  const disk = currentProcess()?.machine.disk;
  if (disk === undefined) throw new Error('this process has no disk');
  return disk;
}
