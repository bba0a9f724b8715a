/**
 * One direction of a connection with a delay: every chunk arrives that long after it came, in order, and as many are on
 * their way as a long line would hold. What limits is time, not bandwidth: only a receiver that does not read, or more on
 * its way than `bytesMax`, stops the sender.
 */
import type { Socket } from 'node:net';

interface Chunk {
  readonly dueMs: number;
  /** Undefined = the sender has ended its direction. */
  readonly bytes: Buffer | undefined;
}

export interface PipeOptions {
  /** Asked for each chunk: a change holds for what comes then, and nothing overtakes. */
  readonly delayMs: () => number;
  /** Bytes on their way at which the sender is not read any more. */
  readonly bytesMax: number;
}

export class DelayedPipe {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #options: PipeOptions;
  #chunks: Chunk[] = [];
  #bytes = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** The receiver does not take more at the moment. */
  #isBlocked = false;

  constructor(from: Socket, to: Socket, options: PipeOptions) {
    this.#from = from;
    this.#to = to;
    this.#options = options;
    from.on('data', (bytes) => this.#take(bytes));
    from.on('end', () => this.#take(undefined));
    to.on('drain', () => {
      this.#isBlocked = false;
      this.#deliver();
    });
    // Not when the sender closes: what it sent before is still on its way.
    to.on('close', () => clearTimeout(this.#timer));
  }

  /** On their way. */
  get bytes(): number {
    return this.#bytes;
  }

  #take(bytes: Buffer | undefined): void {
    this.#chunks.push({ dueMs: performance.now() + this.#options.delayMs(), bytes });
    this.#bytes += bytes?.byteLength ?? 0;
    if (this.#bytes >= this.#options.bytesMax) this.#from.pause();
    if (this.#timer === undefined) this.#deliver();
  }

  /** What is due, all at once; then at the moment at which the next is. */
  #deliver(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const nowMs = performance.now();
    let count = 0;
    this.#to.cork();
    for (const { dueMs, bytes } of this.#chunks) {
      if (this.#isBlocked || dueMs > nowMs || this.#to.destroyed) break;
      count += 1;
      if (bytes === undefined) this.#to.end();
      else {
        this.#bytes -= bytes.byteLength;
        this.#isBlocked = !this.#to.write(bytes);
      }
    }
    this.#to.uncork();
    this.#chunks.splice(0, count);
    if (this.#bytes < this.#options.bytesMax && this.#from.isPaused()) this.#from.resume();
    const [next] = this.#chunks;
    if (next === undefined || this.#isBlocked) return;
    this.#timer = setTimeout(() => this.#deliver(), Math.max(0, next.dueMs - performance.now()));
  }
}
