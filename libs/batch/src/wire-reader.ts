/**
 * Reading protobuf by hand: varints, tags and lengths with every bound checked. Groups (wire types 3 and 4) are
 * refused: nothing of ours has them, and skipping them needs a stack that an attacker can grow.
 */
import { isUtf8 } from 'node:buffer';
import { malformed } from './faults.ts';

const VARINT_BYTES_MAX = 10;
const TAG_MAX = 0xffffffff;

/** A cursor over the fields of one message. Invariant: position <= end <= buf.length. */
export class WireReader {
  readonly buf: Buffer;
  /** Of the message that is read, for errors. */
  readonly name: string;
  position: number;
  /** End of the message that is being read: narrowed by enter(), widened by leave(). */
  end: number;

  constructor(buf: Uint8Array, name: string, position = 0, end = buf.length) {
    this.buf = Buffer.isBuffer(buf) ? buf : Buffer.from(buf.buffer, buf.byteOffset, buf.length);
    this.name = name;
    this.position = position;
    this.end = end;
  }

  done(): boolean {
    return this.position >= this.end;
  }

  /** Unsigned varint as a number; exact up to 2^53, an approximation above (no field of ours takes such a value). */
  varint(): number {
    let byte = this.#next();
    let value = byte & 0x7f;
    for (let scale = 128, count = 1; byte >= 0x80; scale *= 128, count++) {
      if (count === VARINT_BYTES_MAX) throw malformed('a varint is longer than 10 bytes', this.name);
      byte = this.#next();
      value += (byte & 0x7f) * scale;
    }
    return value;
  }

  /** Varint of an int64 field. */
  int64(): bigint {
    const start = this.position;
    const value = this.varint();
    if (value <= Number.MAX_SAFE_INTEGER) return BigInt(value);
    let exact = 0n;
    for (let at = this.position - 1; at >= start; at--) {
      exact = (exact << 7n) | BigInt((this.buf[at] as number) & 0x7f);
    }
    return BigInt.asIntN(64, exact);
  }

  /** Field number and wire type of the next field, together as on the wire. */
  tag(): number {
    const tag = this.varint();
    if (tag > TAG_MAX || tag < 8) throw malformed(`${tag} is no field tag`, this.name);
    return tag;
  }

  /** Reads a length and moves to behind the bytes it covers; returns where they begin. */
  span(): number {
    const length = this.varint();
    const start = this.position;
    if (length > this.end - start)
      throw malformed(`a field claims ${length} bytes, ${this.end - start} are left`, this.name);
    this.position = start + length;
    return start;
  }

  /** Content of a bytes field, as a view. */
  bytes(): Uint8Array {
    const start = this.span();
    return this.buf.subarray(start, this.position);
  }

  /** Content of a string field; MALFORMED_MESSAGE when it is not UTF-8, as in every protobuf library. */
  text(): string {
    const start = this.span();
    const text = this.buf.toString('utf8', start, this.position);
    // The decoder puts U+FFFD for what is no UTF-8; only then is a second look due, as the text may hold one itself.
    if (text.includes('\ufffd') && !isUtf8(this.buf.subarray(start, this.position))) {
      throw malformed('a text field is not valid UTF-8', this.name);
    }
    return text;
  }

  /** Takes `count` bytes of a fixed-width field; returns where they begin. */
  fixed(count: number): number {
    const start = this.position;
    if (count > this.end - start) throw malformed('a fixed-width field is cut short', this.name);
    this.position = start + count;
    return start;
  }

  /** Enters the embedded message that begins with its length here; returns the outer end for leave(). */
  enter(): number {
    const outerEnd = this.end;
    const start = this.span();
    this.end = this.position;
    this.position = start;
    return outerEnd;
  }

  /** Back in the outer message, behind the embedded one. */
  leave(outerEnd: number): void {
    this.position = this.end;
    this.end = outerEnd;
  }

  /** Skips the content of a field that the reader does not know. */
  skip(tag: number): void {
    const wireType = tag & 7;
    if (wireType === 0) this.varint();
    else if (wireType === 1) this.fixed(8);
    else if (wireType === 2) this.span();
    else if (wireType === 5) this.fixed(4);
    else throw malformed(`wire type ${wireType} is not in use`, this.name);
  }

  #next(): number {
    if (this.position >= this.end) throw malformed('a varint is cut short', this.name);
    return this.buf[this.position++] as number;
  }
}
