/**
 * Fixed-width little-endian numbers (protobuf fixed32, sfixed32, sfixed64) in a Uint8Array of any origin, without a
 * DataView per call. The caller has checked the bounds.
 */
const scratch = new DataView(new ArrayBuffer(8));

/** Signed 32 bits at `at`. */
export function int32At(buf: Uint8Array, at: number): number {
  return (
    (buf[at] as number) |
    ((buf[at + 1] as number) << 8) |
    ((buf[at + 2] as number) << 16) |
    ((buf[at + 3] as number) << 24)
  );
}

/** Unsigned 32 bits at `at`. */
export function uint32At(buf: Uint8Array, at: number): number {
  return int32At(buf, at) >>> 0;
}

/** Signed 64 bits at `at`. */
export function int64At(buf: Uint8Array, at: number): bigint {
  scratch.setInt32(0, int32At(buf, at), true);
  scratch.setInt32(4, int32At(buf, at + 4), true);
  return scratch.getBigInt64(0, true);
}

/** Writes the low 32 bits of `value`, signed or unsigned. */
export function putInt32(buf: Uint8Array, at: number, value: number): void {
  buf[at] = value;
  buf[at + 1] = value >>> 8;
  buf[at + 2] = value >>> 16;
  buf[at + 3] = value >>> 24;
}

/** Writes the low 64 bits of `value`. */
export function putInt64(buf: Uint8Array, at: number, value: bigint): void {
  scratch.setBigInt64(0, value, true);
  putInt32(buf, at, scratch.getInt32(0, true));
  putInt32(buf, at + 4, scratch.getInt32(4, true));
}
