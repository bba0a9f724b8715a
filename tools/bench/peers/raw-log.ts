/**
 * The plainest log there is: frames one behind another in a file, one write at a time, which takes all that came during
 * the one before, and is on the device when it returns.
 */
import { constants } from 'node:fs';
import { open, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';

const FLAGS = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_DSYNC;
/** Then a new file takes its place, so that a long run fills no disk. */
const FILE_BYTES_MAX = 256 * 1024 * 1024;

export class RawLog {
  readonly #path: string;
  readonly #onStored: (frameCount: number) => void;
  #waiting: Buffer[] = [];
  #isWriting = false;
  #file: FileHandle | undefined;
  #bytes = 0;

  constructor(folder: string, name: string, onStored: (frameCount: number) => void) {
    this.#path = join(folder, `${process.pid}-${name}.raw`);
    this.#onStored = onStored;
  }

  append(frame: Buffer): void {
    this.#waiting.push(frame);
    if (!this.#isWriting) void this.#write();
  }

  async #write(): Promise<void> {
    this.#isWriting = true;
    while (this.#waiting.length > 0) {
      const frames = this.#waiting;
      this.#waiting = [];
      const file = await this.#current();
      const { bytesWritten } = await file.writev(frames, this.#bytes);
      const bytes = frames.reduce((sum, frame) => sum + frame.length, 0);
      if (bytesWritten !== bytes) throw new Error(`the disk took ${bytesWritten} of ${bytes} bytes`);
      this.#bytes += bytes;
      this.#onStored(frames.length);
    }
    this.#isWriting = false;
  }

  async #current(): Promise<FileHandle> {
    if (this.#file !== undefined && this.#bytes < FILE_BYTES_MAX) return this.#file;
    if (this.#file !== undefined) {
      await this.#file.close();
      await unlink(this.#path);
    }
    this.#bytes = 0;
    this.#file = await open(this.#path, FLAGS);
    return this.#file;
  }
}
