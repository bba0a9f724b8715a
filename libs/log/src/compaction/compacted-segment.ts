/** The new file of a group while it is written: `<base>.log.compacted` and its index, `<base>.idx.compacted`. */
import { headerSeed } from '@partita/batch';
import { indexEntryOf } from '../batch-scan.ts';
import { unlinkIfExists } from '../disk.ts';
import type { DiskFile } from '../disk.ts';
import { OffsetIndex } from '../offset-index.ts';
import { encodeSegmentHeader, SEGMENT_HEADER_BYTES } from '../segment-header.ts';
import type { BatchReader } from './batch-reader.ts';
import { compactedPath } from './compacted-names.ts';
import { IO_BYTES } from './compaction-io.ts';
import type { CompactionIo } from './compaction-io.ts';

export class CompactedSegment {
  readonly path: string;
  readonly baseOffset: bigint;
  /** Its open log file, for reading what was flushed. */
  readonly file: DiskFile;
  /** Bytes of the log, those that wait included. */
  size = SEGMENT_HEADER_BYTES;
  readonly #io: CompactionIo;
  readonly #index: OffsetIndex;
  readonly #waiting = Buffer.allocUnsafe(IO_BYTES);
  #waitingBytes = 0;

  private constructor(io: CompactionIo, baseOffset: bigint, path: string, file: DiskFile) {
    this.path = path;
    this.baseOffset = baseOffset;
    this.file = file;
    this.#io = io;
    this.#index = new OffsetIndex(headerSeed(io.identity.topicId, io.identity.partition));
  }

  /** Makes the file in place of what an earlier try left. Its header tells when the first source was made. */
  static async create(io: CompactionIo, baseOffset: bigint, createTimeMs: bigint): Promise<CompactedSegment> {
    const path = compactedPath(io.directory, baseOffset, 'log');
    await unlinkIfExists(io.disk, path);
    await unlinkIfExists(io.disk, compactedPath(io.directory, baseOffset, 'idx'));
    const segment = new CompactedSegment(io, baseOffset, path, await io.disk.open(path, 'create'));
    // That it has holes is in the file `compaction` instead, which speaks of all segments before the last at once.
    segment.#put(encodeSegmentHeader({ ...io.identity, baseOffset, createTimeMs, isSparse: false }));
    return segment;
  }

  /** Highest timestamp of the batches; undefined without one. */
  get maxTimestampMs(): bigint | undefined {
    return this.#index.maxTimestampMs;
  }

  /** Adds a stamped batch; its bytes are copied or written on return. */
  async append(batch: Uint8Array): Promise<void> {
    if (this.#waitingBytes + batch.length > IO_BYTES) await this.flush();
    this.#index.note(indexEntryOf(batch, 0, this.size));
    if (batch.length > IO_BYTES) await this.#write(batch, this.size);
    else this.#put(batch);
    this.size += batch.length;
  }

  /** Adds all that the reader has left. */
  async appendAll(reader: BatchReader): Promise<void> {
    while (await reader.next()) await this.append(reader.batch);
  }

  /** Writes what waits. */
  async flush(): Promise<void> {
    if (this.#waitingBytes === 0) return;
    await this.#write(this.#waiting.subarray(0, this.#waitingBytes), this.#flushedBytes());
    this.#waitingBytes = 0;
  }

  /** Completes and syncs both files and closes them; their names are the caller's to sync. */
  async finish(): Promise<void> {
    await this.flush();
    await this.file.datasync();
    await this.file.close();
    this.#index.complete();
    const bytes = this.#index.encode();
    const file = await this.#io.disk.open(compactedPath(this.#io.directory, this.baseOffset, 'idx'), 'create');
    try {
      await file.writev([bytes], 0);
      await file.datasync();
    } finally {
      await file.close();
    }
  }

  /** Closes it and removes its files, in any state. */
  async discard(): Promise<void> {
    await this.file.close();
    await unlinkIfExists(this.#io.disk, this.path);
    await unlinkIfExists(this.#io.disk, compactedPath(this.#io.directory, this.baseOffset, 'idx'));
  }

  #put(bytes: Uint8Array): void {
    this.#waiting.set(bytes, this.#waitingBytes);
    this.#waitingBytes += bytes.length;
  }

  #flushedBytes(): number {
    return this.size - this.#waitingBytes;
  }

  async #write(bytes: Uint8Array, position: number): Promise<void> {
    await this.#io.pace(bytes.length);
    await this.file.writev([bytes], position);
  }
}
