/** Stands in for node:fs/promises in a simulated cluster, as far as brokers use it besides the port to the disk. */
import type { ClusterDisk } from '../cluster-disk.ts';
import { currentProcess } from '../processes.ts';

function disk(): ClusterDisk {
  const own = currentProcess()?.machine.disk;
  if (own === undefined) throw new Error('this process has no disk');
  return own;
}

export async function rm(path: string, _options: { readonly recursive: true; readonly force: true }): Promise<void> {
  await disk().removeTree(path);
}

export async function rename(from: string, to: string): Promise<void> {
  await disk().moveTree(from, to);
}

export async function readdir(path: string): Promise<string[]> {
  return disk().list(path);
}
