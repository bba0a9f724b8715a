/**
 * The encoder of all messages: @bufbuild/protobuf's, except that large byte fields are not copied into its growing
 * buffer but kept by reference and put in place once: when the message is finished or, on its way to grpc-js, when that
 * makes its frame. A 256 KiB batch is copied once instead of about six times, and no buffer is zeroed for it.
 *
 * It stands on two fields and one method of the base class that TypeScript calls private; the version is pinned and
 * frame-writer.spec.ts holds every message against the base class.
 */
import { BinaryWriter } from '@bufbuild/protobuf/wire';

/** What is used of the base class. */
interface Internals {
  buffer: Uint8Array;
  pos: number;
  ensureCapacity(size: number): void;
}

interface LargeChunk {
  /** Place in the small bytes before which the chunk belongs. */
  at: number;
  readonly chunk: Uint8Array;
}

interface Fork {
  readonly start: number;
  readonly largeCount: number;
  readonly largeBytes: number;
}

/** Below this a copy is cheaper than keeping track. */
const LARGE_BYTES_MIN = 4096;
/** Length prefix that the base class reserves in `fork`. */
const RESERVED_BYTES = 1;

export class FrameWriter extends BinaryWriter {
  readonly #large: LargeChunk[] = [];
  readonly #forks: Fork[] = [];
  #largeBytes = 0;

  /** Keeps `chunk` by reference when it is large: its bytes must not change until `finish`. */
  override raw(chunk: Uint8Array): this {
    if (chunk.length < LARGE_BYTES_MIN) return super.raw(chunk);
    this.#large.push({ at: this.#internals.pos, chunk });
    this.#largeBytes += chunk.length;
    return this;
  }

  override fork(): this {
    this.#forks.push({ start: this.#internals.pos, largeCount: this.#large.length, largeBytes: this.#largeBytes });
    return super.fork();
  }

  override join(): this {
    const fork = this.#forks.pop();
    if (fork === undefined || fork.largeCount === this.#large.length) return super.join();
    const base = this.#internals;
    const smallBytes = base.pos - fork.start - RESERVED_BYTES;
    const length = smallBytes + this.#largeBytes - fork.largeBytes;
    const shift = varintBytes(length) - RESERVED_BYTES;
    base.ensureCapacity(shift);
    const content = fork.start + RESERVED_BYTES;
    base.buffer.copyWithin(content + shift, content, base.pos);
    for (let index = fork.largeCount; index < this.#large.length; index += 1) {
      const large = this.#large[index];
      if (large !== undefined) large.at += shift;
    }
    // The base class would count the small bytes only: it joins an empty fork, and its length is written over.
    base.pos = content;
    super.join();
    base.pos = fork.start;
    this.uint32(length);
    base.pos = content + shift + smallBytes;
    return this;
  }

  override finish(): Uint8Array<ArrayBuffer> {
    const message = this.finishInParts();
    if (message === undefined) return super.finish();
    const whole = Buffer.allocUnsafe(message.length);
    message.copy(whole);
    return whole;
  }

  /** As `finish`, with the large fields left where they are. Undefined, and nothing is finished, when there is none. */
  finishInParts(): MessageInParts | undefined {
    if (this.#large.length === 0) return undefined;
    const large = this.#large.splice(0);
    this.#largeBytes = 0;
    return new MessageInParts(super.finish(), large);
  }

  get #internals(): Internals {
    return this as unknown as Internals;
  }
}

/** An encoded message whose large fields have not been copied yet. */
export class MessageInParts {
  readonly length: number;
  readonly #small: Uint8Array;
  readonly #large: readonly LargeChunk[];

  constructor(small: Uint8Array, large: readonly LargeChunk[]) {
    this.#small = small;
    this.#large = large;
    this.length = large.reduce((sum, { chunk }) => sum + chunk.length, small.length);
  }

  get byteLength(): number {
    return this.length;
  }

  /** Puts the message into `target`, which has the room, from `at` on. Returns its length. */
  copy(target: Uint8Array, at = 0): number {
    let from = 0;
    let to = at;
    for (const { at: end, chunk } of this.#large) {
      target.set(this.#small.subarray(from, end), to);
      to += end - from;
      from = end;
      target.set(chunk, to);
      to += chunk.length;
    }
    target.set(this.#small.subarray(from), to);
    return this.length;
  }
}

/**
 * What a serialiser gives to grpc-js. Of a message with large fields that is no Buffer, but all that grpc-js uses of one,
 * the length and `copy`: it copies every message into a frame, behind five bytes of its own. So the large fields must not
 * change until then, which is before the message counts as sent.
 */
export function messageBytes(writer: BinaryWriter): Buffer {
  const parts = writer instanceof FrameWriter ? writer.finishInParts() : undefined;
  if (parts !== undefined) return parts as unknown as Buffer;
  const bytes = writer.finish();
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function varintBytes(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x200000) return 3;
  return value < 0x10000000 ? 4 : 5;
}
