/** A disk that notes how many batches each write to a log carries, so that plain writes can be grouped the same way. */
import type { Disk, DiskFile } from '@partita/log';

export interface CountingDisk {
  readonly disk: Disk;
  /** Batches of each write since the last call. */
  readonly takeGroups: () => readonly number[];
}

/** `disk` must be a plain object of functions, as createNodeDisk() makes it. */
export function countingDisk(disk: Disk): CountingDisk {
  let groups: number[] = [];
  const count = (buffers: readonly Uint8Array[], position: number): void => {
    // At 0 stands the segment's header.
    if (position > 0) groups.push(buffers.length);
  };
  const counted = (file: DiskFile): DiskFile => ({
    read: (buffer, position) => file.read(buffer, position),
    writev: (buffers, position) => {
      count(buffers, position);
      return file.writev(buffers, position);
    },
    writeSynced: (buffers, position) => {
      count(buffers, position);
      return file.writeSynced(buffers, position);
    },
    datasync: () => file.datasync(),
    truncate: (size) => file.truncate(size),
    size: () => file.size(),
    close: () => file.close(),
  });
  const open: Disk['open'] = async (path, mode) => {
    const file = await disk.open(path, mode);
    return path.endsWith('.log') ? counted(file) : file;
  };
  return {
    disk: { ...disk, open },
    takeGroups: () => {
      const taken = groups;
      groups = [];
      return taken;
    },
  };
}
