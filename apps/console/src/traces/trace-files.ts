/**
 * Received spans in files, so that a restart still knows them: `traces-v1-NNNNNNNNNN.otlp`, numbered upwards. A file is a
 * row of frames, and nothing else:
 *
 *   varint   bytes that follow
 *   bytes    an ExportTraceServiceRequest of OTLP, as it came; on the wire it is the same as TracesData
 *
 * which is the form that OpenTelemetry's specification gives files of spans: delimited protobuf. A start never appends to a file that is there: a frame that a crash tore is the last of its file, and is passed over. The oldest
 * files are removed beyond the bounds. Nothing is synced: traces are for looking, and may lose their last second.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BinaryWriter } from '@bufbuild/protobuf/wire';
import {
  PartitaError,
  TRACE_FILE_BYTES_MAX,
  TRACE_FILE_COUNT_MAX,
  TRACE_FILES_BYTES_MAX,
  TRACE_QUEUE_BYTES_MAX,
} from '@partita/domain';

export interface TraceFileBounds {
  readonly fileBytesMax: number;
  readonly filesBytesMax: number;
  readonly fileCountMax: number;
  readonly queueBytesMax: number;
}

const BOUNDS: TraceFileBounds = {
  fileBytesMax: TRACE_FILE_BYTES_MAX,
  filesBytesMax: TRACE_FILES_BYTES_MAX,
  fileCountMax: TRACE_FILE_COUNT_MAX,
  queueBytesMax: TRACE_QUEUE_BYTES_MAX,
};

const FILE_NAME = /^traces-v1-(\d{10})\.otlp$/;
/** Of a frame's length: 32 bits as a varint. */
const LENGTH_BYTES_MAX = 5;

interface StoredFile {
  readonly number: number;
  bytes: number;
}

export class TraceFiles {
  readonly #folder: string;
  readonly #bounds: TraceFileBounds;
  /** Oldest first. */
  readonly #files: StoredFile[];
  /** The file being written; undefined until the first frame of this start. */
  #current: StoredFile | undefined;
  #queuedBytes = 0;
  #written: Promise<void> = Promise.resolve();

  /** Makes the folder when there is none. */
  constructor(folder: string, bounds: TraceFileBounds = BOUNDS) {
    this.#folder = folder;
    this.#bounds = bounds;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const numbers = readdirSync(folder).flatMap((name) => Number(FILE_NAME.exec(name)?.[1] ?? NaN) || []);
    numbers.sort((left, right) => left - right);
    this.#files = numbers.map((number) => ({ number, bytes: statSync(this.#path(number)).size }));
  }

  /** Every whole frame of earlier starts, oldest first. */
  *stored(): Generator<Uint8Array, void, undefined> {
    for (const { number } of this.#files) yield* framesOf(readFileSync(this.#path(number)));
  }

  /** Resolves when the request is in a file. Rejects with QUEUE_FULL when too much waits, else with the disk's error. */
  async append(request: Uint8Array): Promise<void> {
    if (this.#queuedBytes + request.length > this.#bounds.queueBytesMax)
      throw new PartitaError('QUEUE_FULL', 'more spans wait for the disk than may: export them again in a moment');
    this.#queuedBytes += request.length;
    const before = this.#written;
    // The next writer waits for this one, however it ends; only the caller is told of a failure.
    const write = before.then(() => this.#write(request)).finally(() => (this.#queuedBytes -= request.length));
    this.#written = write.catch(() => undefined);
    await write;
  }

  /** Resolves when all that was handed over is in a file, or failed. */
  flushed(): Promise<void> {
    return this.#written;
  }

  async #write(request: Uint8Array): Promise<void> {
    // `bytes` is the length and the bytes, which is all of a frame.
    const frame = new BinaryWriter().bytes(request).finish();
    const file = this.#fileFor(frame.length);
    try {
      await appendFile(this.#path(file.number), frame, { mode: 0o600 });
    } catch (error) {
      // A part of the frame may be there: only a file's last frame may be torn.
      this.#current = undefined;
      throw error;
    }
  }

  /** The file that takes so many bytes more, counted as if they were in it. */
  #fileFor(bytes: number): StoredFile {
    const { fileBytesMax, filesBytesMax, fileCountMax } = this.#bounds;
    if (this.#current === undefined || this.#current.bytes + bytes > fileBytesMax) {
      this.#current = { number: (this.#files.at(-1)?.number ?? 0) + 1, bytes: 0 };
      this.#files.push(this.#current);
    }
    this.#current.bytes += bytes;
    let allBytes = this.#files.reduce((sum, file) => sum + file.bytes, 0);
    while (this.#files.length > 1 && (allBytes > filesBytesMax || this.#files.length > fileCountMax)) {
      const oldest = this.#files.shift();
      if (oldest === undefined) break;
      allBytes -= oldest.bytes;
      rmSync(this.#path(oldest.number), { force: true });
    }
    return this.#current;
  }

  #path(number: number): string {
    return join(this.#folder, `traces-v1-${String(number).padStart(10, '0')}.otlp`);
  }
}

function* framesOf(content: Buffer): Generator<Uint8Array, void, undefined> {
  for (let at = 0; at < content.length;) {
    const length = lengthAt(content, at);
    if (length === undefined || length.end + length.value > content.length) return;
    yield content.subarray(length.end, length.end + length.value);
    at = length.end + length.value;
  }
}

/** The varint there and where it ends; undefined when it is torn or none. */
function lengthAt(content: Buffer, start: number): { readonly value: number; readonly end: number } | undefined {
  let value = 0;
  for (let index = 0; index < LENGTH_BYTES_MAX; index += 1) {
    const byte = content[start + index];
    if (byte === undefined) return undefined;
    value += (byte & 0x7f) * 2 ** (7 * index);
    if (byte < 0x80) return { value, end: start + index + 1 };
  }
  return undefined;
}
