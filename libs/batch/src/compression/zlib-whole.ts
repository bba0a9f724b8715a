/** What node:zlib returns with `info: true`; its types do not know. */
interface InflateInfo {
  readonly buffer: Buffer;
  readonly engine: { readonly bytesWritten: number };
}

/**
 * The output of a synchronous decompression that was called with `info: true`; throws when it stopped before the end of
 * `input`. zlib silently leaves bytes behind a zstd frame, and zeros behind gzip, unread: other decoders would see
 * other records there.
 */
export function wholeOutput(result: unknown, input: Uint8Array): Buffer {
  const { buffer, engine } = result as InflateInfo;
  if (engine.bytesWritten !== input.length) {
    throw new Error(`${input.length - engine.bytesWritten} bytes stand behind the compressed records`);
  }
  return buffer;
}
