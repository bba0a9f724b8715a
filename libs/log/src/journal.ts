/**
 * The broker's `meta.journal`: small values by key that must be durable before an answer goes out (promised epochs,
 * suspect flags, tombstones). The values are opaque here.
 *
 * Two files, `meta.journal.0` and `meta.journal.1`, are allocated in full when the journal is made, so that a full disk
 * cannot block a promise. One is in use; changes are appended to it and synced, all that wait by one fsync. When it is
 * full, the whole state is written to the other: its header is zeroed, then the state, then the header with the next
 * generation, each synced. A crash in between leaves the old file in charge. Opening does the same, which also writes
 * again what a failed fsync may have left in the page cache only.
 *
 * At start an incomplete last entry is what a crash left of a put that was never answered. A bad entry with a good one
 * behind it, or a damaged header, is corruption: the journal is refused, since forgetting a promise breaks safety.
 */
import { PartitaError } from '@partita/domain';
import { diskErrorCode, readFileIfExists, unlinkIfExists } from './disk.ts';
import type { Disk, DiskFile, ReadingDisk } from './disk.ts';
import {
  applyEntry,
  changeBytes,
  decodeJournalHeader,
  encodeEntry,
  encodeJournalHeader,
  encodeState,
  entryAt,
  entryBytes,
  hasEntryBehind,
  JOURNAL_HEADER_BYTES,
} from './journal-codec.ts';
import type { Changes } from './journal-codec.ts';

/** Size of each of the two files unless a test says otherwise. */
export const JOURNAL_BYTES = 16 * 1024 * 1024;

const NAMES = ['meta.journal.0', 'meta.journal.1'] as const;
const ZEROS_BYTES = 1024 * 1024;

export interface JournalOptions {
  readonly disk: Disk;
  readonly dir: string;
  /** Size of each of the two files, a multiple of 8; that of existing files counts. */
  readonly bytesMax?: number;
}

interface Pending {
  readonly changes: Changes;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Opens the journal of a data directory, or makes an empty one. CORRUPT_BATCH when it is damaged. */
export async function openJournal(options: JournalOptions): Promise<Journal> {
  const { disk, dir, bytesMax = JOURNAL_BYTES } = options;
  const paths = journalPaths(dir);
  const found = await readFiles(disk, dir);
  if (found === undefined) {
    await allocate(disk, dir, paths[1], Buffer.alloc(0), bytesMax);
    await allocate(disk, dir, paths[0], Buffer.concat([encodeJournalHeader(1n), encodeState(new Map(), 1n)]), bytesMax);
    return openJournal(options);
  }
  const { reading, inCharge } = found;
  // A program that was killed while it made them may have left names that are seen, but not on the device.
  await disk.syncDirectory(dir);
  const files = [await disk.open(paths[0], 'write'), await disk.open(paths[1], 'write')] as const;
  // After a failed sync the page cache shows what the device does not have. The other file is not touched before this
  // one is durable for certain, and a mere sync would skip pages that Linux takes for clean.
  await files[reading.number].writev([inCharge.subarray(0, reading.position)], 0);
  await files[reading.number].datasync();
  const journal = new Journal(files, reading.fileBytes, reading);
  await journal.compact();
  return journal;
}

/** A journal as it lies on disk: the state is in file `number`. */
export interface JournalReading {
  readonly state: ReadonlyMap<string, Uint8Array>;
  readonly generation: bigint;
  readonly number: 0 | 1;
  /** Intact entries of the file in charge, the first of which may be a whole state. */
  readonly entryCount: number;
  /** Where the file in charge would be written next. */
  readonly position: number;
  /** Size of each file. */
  readonly fileBytes: number;
}

/** Reads the journal and changes nothing; undefined when it was never used. CORRUPT_BATCH when it is damaged. */
export async function readJournal(disk: ReadingDisk, dir: string): Promise<JournalReading | undefined> {
  return (await readFiles(disk, dir))?.reading;
}

/** What the files say, and the content of the one in charge. */
async function readFiles(
  disk: ReadingDisk,
  dir: string,
): Promise<{ reading: JournalReading; inCharge: Buffer } | undefined> {
  const paths = journalPaths(dir);
  const found = [await readTwice(disk, paths[0]), await readTwice(disk, paths[1])] as const;
  // The first file is made last and with a header, so without it the journal was never used.
  if (found[0] === undefined) return undefined;
  if (found[1] === undefined) throw damaged(paths[1], 0, 'the file is missing');
  const contents = [found[0], found[1]] as const;
  const reading = readState(paths, contents);
  return { reading, inCharge: contents[reading.number] };
}

/** The content of a file that reads the same twice: a bit that is wrong on the way must not look like a torn entry. */
async function readTwice(disk: ReadingDisk, path: string): Promise<Buffer | undefined> {
  const first = await readFileIfExists(disk, path);
  const second = await readFileIfExists(disk, path);
  if (first === undefined || second?.equals(first) === true) return first;
  throw damaged(path, 0, 'it read differently twice, so try again first');
}

function journalPaths(dir: string): readonly [string, string] {
  return [`${dir}/${NAMES[0]}`, `${dir}/${NAMES[1]}`];
}

function readState(paths: readonly [string, string], files: readonly [Buffer, Buffer]): JournalReading {
  const headers = files.map(decodeJournalHeader);
  const broken = headers.findIndex((header) => header === 'damaged');
  if (broken >= 0) throw damaged(paths[broken === 0 ? 0 : 1], 0, 'the header is damaged');
  const generations = headers.map((header) => (typeof header === 'string' ? 0n : header.generation));
  const [first = 0n, second = 0n] = generations;
  const number = first >= second ? 0 : 1;
  const generation = number === 0 ? first : second;
  const file = files[number];
  if (generation === 0n) throw damaged(paths[0], 0, 'neither file is in use');
  const state = new Map<string, Uint8Array>();
  let sequence = 1n;
  let at = JOURNAL_HEADER_BYTES;
  for (;;) {
    const content = entryAt(file, at, generation, sequence);
    if (content === undefined) break;
    applyEntry(state, content);
    at += entryBytes(content.length);
    sequence += 1n;
  }
  if (hasEntryBehind(file, at, generation, sequence))
    throw damaged(paths[number], at, 'an entry in the middle is damaged');
  const header = headers[number];
  const isEmptyAllowed = typeof header === 'object' && header.version === 1;
  if (sequence === 1n && !isEmptyAllowed) throw damaged(paths[number], at, 'the entry with the whole state is damaged');
  const entryCount = Number(sequence - 1n);
  return { state, generation, number, entryCount, position: at, fileBytes: files[0].length };
}

async function allocate(disk: Disk, dir: string, path: string, header: Uint8Array, bytesMax: number): Promise<void> {
  const temporary = `${path}.new`;
  await unlinkIfExists(disk, temporary);
  const file = await disk.open(temporary, 'create');
  try {
    for (let at = 0; at < bytesMax; at += ZEROS_BYTES) {
      await file.writev([Buffer.alloc(Math.min(ZEROS_BYTES, bytesMax - at))], at);
    }
    await file.writev([header], 0);
    await file.datasync();
  } finally {
    await file.close();
  }
  await disk.rename(temporary, path);
  await disk.syncDirectory(dir);
}

function damaged(path: string, position: number, why: string): PartitaError {
  return new PartitaError(
    'CORRUPT_BATCH',
    `${path} is damaged at byte ${position}: ${why}; this broker's promises are lost: give it a new data directory`,
    { file: path, position: String(position) },
  );
}

export class Journal {
  readonly #files: readonly [DiskFile, DiskFile];
  readonly #bytesMax: number;
  /** What is durable. */
  readonly #state: Map<string, Uint8Array>;
  /** Bytes of each key's change as they will be once all that is pending is durable; and their sum. */
  readonly #sizes = new Map<string, number>();
  #stateBytes = 0;
  #generation: bigint;
  #number: 0 | 1;
  #position = 0;
  #sequence = 1n;
  #pending: Pending[] = [];
  #running: Promise<void> | undefined;
  #failure: PartitaError | undefined;

  /** Use openJournal. */
  constructor(files: readonly [DiskFile, DiskFile], bytesMax: number, found: JournalReading) {
    this.#files = files;
    this.#bytesMax = bytesMax;
    this.#state = new Map(found.state);
    this.#generation = found.generation;
    this.#number = found.number;
    for (const [key, value] of found.state) this.#resize(key, value);
  }

  /** The durable value of the key. */
  get(key: string): Uint8Array | undefined {
    return this.#state.get(key);
  }

  /** All durable values. */
  entries(): IterableIterator<[string, Uint8Array]> {
    return this.#state.entries();
  }

  /**
   * Sets values, all or none of them, durable once it resolves; undefined removes a key. Puts that wait share a write and an
   * fsync, in the order of the calls. LIMIT_EXCEEDED when the state would outgrow a file (nothing changes); STORAGE_FAILED
   * after an error.
   */
  put(entries: Changes): Promise<void> {
    return this.#change(entries);
  }

  /** Removes keys, all or none of them; one that is not there is no error. */
  delete(keys: Iterable<string>): Promise<void> {
    return this.#change(new Map([...keys].map((key) => [key, undefined])));
  }

  /** Writes what is pending and closes the files. */
  async close(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
    this.#failure ??= new PartitaError('SHUTTING_DOWN', 'the journal is closed');
    for (const file of this.#files) await file.close();
  }

  /** Writes the whole state to the file that is not in use and puts it in charge. Only while nothing is pending. */
  async compact(): Promise<void> {
    const number = this.#number === 0 ? 1 : 0;
    const file = this.#files[number];
    const generation = this.#generation + 1n;
    await file.writev([Buffer.alloc(JOURNAL_HEADER_BYTES)], 0);
    await file.datasync();
    let position = JOURNAL_HEADER_BYTES;
    const entry = encodeState(this.#state, generation);
    await file.writev([entry], position);
    await file.datasync();
    position += entry.length;
    await file.writev([encodeJournalHeader(generation)], 0);
    await file.datasync();
    this.#number = number;
    this.#generation = generation;
    this.#position = position;
    this.#sequence = 2n;
  }

  async #change(changes: Changes): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    if (changes.size === 0) return;
    this.#checkRoom(changes);
    // The caller may use its buffers again at once.
    const copies = new Map([...changes].map(([key, value]) => [key, value === undefined ? value : Buffer.from(value)]));
    for (const [key, value] of copies) this.#resize(key, value);
    const done = new Promise<void>((resolve, reject) => {
      this.#pending.push({ changes: copies, resolve, reject });
    });
    this.#running ??= this.#writeAll();
    return done;
  }

  #checkRoom(changes: Changes): void {
    let after = this.#stateBytes;
    for (const [key, value] of changes) {
      after += (value === undefined ? 0 : changeBytes(key, value)) - (this.#sizes.get(key) ?? 0);
    }
    if (JOURNAL_HEADER_BYTES + entryBytes(after) <= this.#bytesMax) return;
    throw new PartitaError(
      'LIMIT_EXCEEDED',
      `the broker's journal holds ${this.#bytesMax} bytes; move partitions to other brokers`,
      { limit: String(this.#bytesMax) },
    );
  }

  #resize(key: string, value: Uint8Array | undefined): void {
    this.#stateBytes -= this.#sizes.get(key) ?? 0;
    if (value === undefined) {
      this.#sizes.delete(key);
      return;
    }
    const size = changeBytes(key, value);
    this.#sizes.set(key, size);
    this.#stateBytes += size;
  }

  async #writeAll(): Promise<void> {
    // Whatever else is put in this turn of the event loop goes into the same write.
    await Promise.resolve();
    while (this.#pending.length > 0) {
      const group = this.#pending;
      this.#pending = [];
      try {
        if (this.#failure !== undefined) throw this.#failure;
        await this.#write(group);
        for (const { resolve } of group) resolve();
      } catch (error) {
        this.#failure ??= new PartitaError(
          'STORAGE_FAILED',
          'writing the journal failed, so nothing more is promised; check the disk and restart the broker',
          { code: diskErrorCode(error) ?? '' },
          { cause: error },
        );
        for (const { reject } of group) reject(this.#failure);
      }
    }
    this.#running = undefined;
  }

  async #write(group: readonly Pending[]): Promise<void> {
    const changes = new Map(group.flatMap((pending) => [...pending.changes]));
    const entry = encodeEntry(changes, this.#generation, this.#sequence);
    const fits = this.#position + entry.length <= this.#bytesMax;
    if (fits) {
      const file = this.#files[this.#number];
      await file.writev([entry], this.#position);
      await file.datasync();
      this.#position += entry.length;
      this.#sequence += 1n;
    }
    for (const [key, value] of changes) {
      if (value === undefined) this.#state.delete(key);
      else this.#state.set(key, value);
    }
    if (!fits) await this.compact();
  }
}
