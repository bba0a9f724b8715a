/** Lines of a byte stream, with their numbers. */
import { UsageError } from './exit-code.ts';

/** Longest line: the largest record in hex, and some. */
const LINE_BYTES_MAX = 8 * 1024 * 1024;

export interface Line {
  /** From 1. */
  readonly number: number;
  readonly text: string;
}

/** Without their line ends. Throws UsageError for a line that is too long or no UTF-8. */
export async function* linesOf(chunks: AsyncIterable<Uint8Array | string>): AsyncGenerator<Line, void, undefined> {
  let number = 0;
  let rest: Buffer[] = [];
  let restBytes = 0;
  const line = (end: Buffer): Line => {
    number += 1;
    const whole = rest.length === 0 ? end : Buffer.concat([...rest, end]);
    rest = [];
    restBytes = 0;
    return { number, text: decode(whole, number) };
  };
  for await (const chunk of chunks) {
    const bytes = Buffer.from(chunk);
    let start = 0;
    for (let end = bytes.indexOf(10); end !== -1; end = bytes.indexOf(10, start)) {
      yield line(bytes.subarray(start, end));
      start = end + 1;
    }
    if (start < bytes.length) rest.push(bytes.subarray(start));
    restBytes += bytes.length - start;
    if (restBytes > LINE_BYTES_MAX) throw new UsageError(`line ${number + 1}: longer than ${LINE_BYTES_MAX} bytes`);
  }
  if (restBytes > 0) yield line(Buffer.alloc(0));
}

function decode(bytes: Buffer, number: number): string {
  const end = bytes.at(-1) === 13 ? bytes.subarray(0, -1) : bytes;
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(end);
  } catch {
    throw new UsageError(`line ${number}: no UTF-8; binary content goes as ndjson with --value-encoding base64`);
  }
}
