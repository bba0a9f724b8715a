/** A process's output in `<name>.log`, kept to 5 files of 10 MB: `<name>.1.log` is the one before. */
import { createWriteStream, existsSync, mkdirSync, renameSync, statSync } from 'node:fs';
import type { WriteStream } from 'node:fs';
import { join } from 'node:path';

const FILE_BYTES_MAX = 10 * 1024 * 1024;
const FILE_COUNT_MAX = 5;

export class RotatingLog {
  readonly path: string;
  readonly #folder: string;
  readonly #name: string;
  #stream: WriteStream;
  #bytes: number;

  constructor(folder: string, name: string) {
    mkdirSync(folder, { recursive: true });
    this.#folder = folder;
    this.#name = name;
    this.path = this.#file(0);
    this.#bytes = existsSync(this.path) ? statSync(this.path).size : 0;
    this.#stream = createWriteStream(this.path, { flags: 'a' });
  }

  write(chunk: string): void {
    this.#bytes += Buffer.byteLength(chunk);
    this.#stream.write(chunk);
    if (this.#bytes > FILE_BYTES_MAX) this.#rotate();
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#stream.end(resolve));
  }

  #rotate(): void {
    this.#stream.end();
    for (let index = FILE_COUNT_MAX - 2; index >= 0; index -= 1) {
      if (existsSync(this.#file(index))) renameSync(this.#file(index), this.#file(index + 1));
    }
    this.#stream = createWriteStream(this.path, { flags: 'a' });
    this.#bytes = 0;
  }

  #file(index: number): string {
    return join(this.#folder, index === 0 ? `${this.#name}.log` : `${this.#name}.${index}.log`);
  }
}
