/** Takes files out of the page cache, so that reading them reaches the disk. */
import { spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** Why nothing can be measured cold on this machine; undefined when it can. */
export function coldFault(): string | undefined {
  if (process.platform !== 'linux') return 'only Linux drops single files from its cache';
  const { status } = spawnSync('dd', ['if=/proc/self/exe', 'iflag=nocache', 'count=0'], { stdio: 'ignore' });
  return status === 0 ? undefined : 'there is no dd with iflag=nocache (GNU coreutils)';
}

/** Every file below the directory. What is not on the disk yet stays; the files of the bench are synced. */
export function dropFromPageCache(directory: string): void {
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    // dd without a count reads nothing and tells the kernel that the whole file is not needed (POSIX_FADV_DONTNEED).
    if (entry.isFile() && statSync(path, { throwIfNoEntry: false })?.size !== 0)
      spawnSync('dd', [`if=${path}`, 'iflag=nocache', 'count=0'], { stdio: 'ignore' });
  }
}
