/** Deliberate bugs, made outside of the product, each of which the simulation must find. */
import { decodeSegmentHeader, encodeSegmentHeader, SEGMENT_HEADER_BYTES } from '@partita/log';
import type { Disk, DiskFile } from '@partita/log';
import { reasonOf } from './excuses.ts';
import type { LogWorld } from './log-world.ts';

export interface Mutant {
  readonly name: string;
  /** Takes hundreds of seeds to find, so only the long form looks for it. */
  readonly isRare?: boolean;
  /** Stands between the product and its disk. */
  readonly wrapDisk?: (disk: Disk, world: LogWorld) => Disk;
  /** Every start is taken for one after a clean stop. */
  readonly trustsEveryStart?: boolean;
  /** What checkpoint and marker say is not passed on. */
  readonly forgetsCheckpoints?: boolean;
  /** A cut does not wait for the checkpoint to say less. */
  readonly cutsBeforeCheckpoint?: boolean;
  /** A trim removes files before the start is noted. */
  readonly trimsBeforeNote?: boolean;
}

/** Where the file `compaction` holds the number of groups that are being swapped in. */
const GROUP_COUNT_AT = 20;
/** Where the file `restart` says how long its snapshot is. */
const SNAPSHOT_LENGTH_AT = 16;

const nothing = async (): Promise<void> => Promise.resolve();

/** Bugs that a wrapper of the disk or of the start makes. */
export const MUTANTS: readonly Mutant[] = [
  {
    name: 'a sync answers without syncing',
    wrapDisk: (disk) => changed(disk, {}, () => ({ datasync: nothing })),
  },
  {
    name: 'a failed sync is tried again',
    wrapDisk: (disk) =>
      changed(disk, {}, (file) => ({
        datasync: () => unlessPowerOff(file.datasync(), () => file.datasync()),
      })),
  },
  {
    name: 'names are never synced',
    wrapDisk: (disk) => changed(disk, { syncDirectory: nothing }),
  },
  {
    name: 'a start does not sync names that it finds',
    wrapDisk: (disk, world) =>
      changed(disk, {
        syncDirectory: (directory) => (world.phase === 'start' ? nothing() : disk.syncDirectory(directory)),
      }),
  },
  {
    name: 'a part written is taken for all',
    wrapDisk: (disk) =>
      changed(disk, {}, (file) => ({
        writev: (buffers, position) => unlessPowerOff(file.writev(buffers, position), nothing),
      })),
  },
  {
    name: 'nothing is cut off after a write without space',
    isRare: true,
    wrapDisk: (disk, world) =>
      changed(disk, {}, (file) => ({
        truncate: (size) => (world.phase === 'run' ? nothing() : file.truncate(size)),
      })),
  },
  {
    name: 'a recovered tail is not written again',
    wrapDisk: (disk, world) =>
      changed(disk, {}, (file, path) => ({
        writev: (buffers, position) =>
          world.phase === 'start' && path.endsWith('.log') && position > 0 ? nothing() : file.writev(buffers, position),
      })),
  },
  {
    name: 'the index is not cut',
    wrapDisk: (disk, world) =>
      changed(disk, {
        writeFileAtomically: (path, content) =>
          world.phase === 'cut' && path.endsWith('.idx') ? nothing() : disk.writeFileAtomically(path, content),
      }),
  },
  { name: 'every start is taken for one after a clean stop', trustsEveryStart: true },
  { name: 'a trim removes files before its start is noted', trimsBeforeNote: true },
  { name: 'a cut does not lower what is known as synced', cutsBeforeCheckpoint: true },
  {
    name: 'the intent of a swap is not written',
    wrapDisk: (disk) =>
      changed(disk, {
        writeFileAtomically: (path, content) =>
          path.endsWith('/compaction') && Buffer.from(content).readUInt32LE(GROUP_COUNT_AT) > 0
            ? nothing()
            : disk.writeFileAtomically(path, content),
      }),
  },
  {
    name: 'the intent of a restart is not written',
    wrapDisk: (disk) =>
      changed(disk, {
        writeFileAtomically: (path, content) =>
          path.endsWith('/restart') && Buffer.from(content).readUInt32LE(SNAPSHOT_LENGTH_AT) > 0
            ? nothing()
            : disk.writeFileAtomically(path, content),
      }),
  },
  {
    name: 'the note of a restart does not stay',
    wrapDisk: (disk) =>
      changed(disk, {
        writeFileAtomically: async (path, content) => {
          await disk.writeFileAtomically(path, content);
          const isDone = path.endsWith('/restart') && Buffer.from(content).readUInt32LE(SNAPSHOT_LENGTH_AT) === 0;
          if (isDone) await disk.unlink(path);
        },
      }),
  },
  {
    name: 'a sparse segment says that it is dense',
    wrapDisk: (disk) =>
      changed(
        disk,
        { writeFileAtomically: (path, content) => disk.writeFileAtomically(path, asDense(path, content)) },
        (file, path) => ({
          writev: (buffers, position) =>
            file.writev(
              buffers.map((bytes) => asDense(path, bytes)),
              position,
            ),
        }),
      ),
  },
  { name: 'what was known as synced is forgotten', isRare: true, forgetsCheckpoints: true },
];

/** The bytes, or the header of a dense segment in place of that of a sparse one. */
function asDense(path: string, bytes: Uint8Array): Uint8Array {
  if (!path.endsWith('.log') || bytes.length !== SEGMENT_HEADER_BYTES) return bytes;
  const header = decodeSegmentHeader(Buffer.from(bytes));
  return header === undefined ? bytes : encodeSegmentHeader({ ...header, isSparse: false });
}

/** A disk that differs in some methods, and in some of its files'. */
function changed(
  disk: Disk,
  methods: Partial<Disk>,
  ofFile: (file: DiskFile, path: string) => Partial<DiskFile> = () => ({}),
): Disk {
  return {
    open: async (path, mode) => {
      const file = await disk.open(path, mode);
      const differs: DiskFile = {
        read: (buffer, position) => file.read(buffer, position),
        writev: (buffers, position) => file.writev(buffers, position),
        // In its two halves, so that what differs in one of them differs here.
        writeSynced: async (buffers, position) => {
          await differs.writev(buffers, position);
          await differs.datasync();
        },
        datasync: () => file.datasync(),
        truncate: (size) => file.truncate(size),
        size: () => file.size(),
        close: () => file.close(),
        ...ofFile(file, path),
      };
      return differs;
    },
    list: (directory) => disk.list(directory),
    makeDirectory: (directory) => disk.makeDirectory(directory),
    rename: (from, to) => disk.rename(from, to),
    unlink: (path) => disk.unlink(path),
    syncDirectory: (directory) => disk.syncDirectory(directory),
    fileBytes: (path) => disk.fileBytes(path),
    readFile: (path) => disk.readFile(path),
    writeFileAtomically: (path, content) => disk.writeFileAtomically(path, content),
    freeBytes: (directory) => disk.freeBytes(directory),
    ...methods,
  };
}

async function unlessPowerOff(call: Promise<void>, otherwise: () => Promise<void>): Promise<void> {
  try {
    await call;
  } catch (error) {
    if (reasonOf(error) === 'POWER_OFF') throw error;
    await otherwise();
  }
}
