/**
 * Messages that no careful client sends: each field of a descriptor is left out, or given one of the values on which
 * servers trip. Deterministic by its seed.
 */
import { BinaryWriter } from '@bufbuild/protobuf/wire';
import type { DescField, DescMessage } from '@bufbuild/protobuf';
import { ScalarType } from '@bufbuild/protobuf';

/** Numbers from 0 (inclusive) to 1 (exclusive), by seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** No number between 20 and 2^31 - 1: what is allowed stays small, so that fuzzing builds no giant topics. */
const INTEGERS: readonly bigint[] = [0n, 1n, -1n, 2n, 7n, 2n ** 31n - 1n, -(2n ** 31n)];
const LONGS: readonly bigint[] = [...INTEGERS, 2n ** 53n - 1n, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n)];
const TEXTS: readonly string[] = [
  ...['', 'a', 'fuzz', 'fuzz-2', '..', '../../etc/passwd', '__proto__', '__groups', 'constructor', '\0', 'ä€😀'],
  ...['x'.repeat(300), '00000000-0000-0000-0000-000000000000', '(a+)+$', '%s%n', 'x'.repeat(100_000)],
];
const BYTES: readonly Buffer[] = [
  ...[Buffer.alloc(0), Buffer.from([0]), Buffer.from([0xff]), Buffer.from('fuzz'), Buffer.alloc(16, 1)],
  ...[Buffer.alloc(128, 0x0a), Buffer.alloc(100_000)],
];
const DEPTH_MAX = 4;
const LIST_LENGTH_MAX = 3;

/** The serialised form of a message with fields drawn at random. One in ten is then damaged. */
export function wildMessage(description: DescMessage, random: () => number): Uint8Array {
  const bytes = messageBytes(description, random, 0);
  return random() < 0.1 ? damaged(bytes, random) : bytes;
}

function messageBytes(description: DescMessage, random: () => number, depth: number): Uint8Array {
  const writer = new BinaryWriter();
  for (const field of description.fields) {
    if (random() < 0.4) continue;
    const count = field.fieldKind === 'list' ? Math.floor(random() * (LIST_LENGTH_MAX + 1)) : 1;
    for (let index = 0; index < count; index += 1) writeField(writer, field, random, depth);
  }
  return writer.finish();
}

function writeField(writer: BinaryWriter, field: DescField, random: () => number, depth: number): void {
  const kind = field.fieldKind === 'list' ? field.listKind : field.fieldKind;
  if (kind === 'map') return; // the public contract has none
  if (kind === 'message') {
    if (depth >= DEPTH_MAX || field.message === undefined) return;
    writer.tag(field.number, 2).bytes(messageBytes(field.message, random, depth + 1));
  } else if (kind === 'enum') writer.tag(field.number, 0).int32(Number(pick(INTEGERS, random)));
  else if (field.scalar !== undefined) writeScalar(writer, field.number, field.scalar, random);
}

function writeScalar(writer: BinaryWriter, number: number, type: ScalarType, random: () => number): void {
  const integer = (): number => Number(pick(INTEGERS, random));
  switch (type) {
    case ScalarType.STRING:
      writer.tag(number, 2).string(pick(TEXTS, random));
      return;
    case ScalarType.BYTES:
      writer.tag(number, 2).bytes(pick(BYTES, random));
      return;
    case ScalarType.INT64:
      writer.tag(number, 0).int64(pick(LONGS, random));
      return;
    case ScalarType.SFIXED64:
      writer.tag(number, 1).sfixed64(pick(LONGS, random));
      return;
    case ScalarType.FIXED32:
      writer.tag(number, 5).fixed32(integer() >>> 0);
      return;
    case ScalarType.SFIXED32:
      writer.tag(number, 5).sfixed32(integer());
      return;
    case ScalarType.BOOL:
      writer.tag(number, 0).bool(random() < 0.5);
      return;
    case ScalarType.INT32:
      writer.tag(number, 0).int32(integer());
      return;
    default:
      throw new Error(`the contract uses a scalar type that wildMessage does not know: ${type}`);
  }
}

/** Cut short, one byte changed, or followed by what is no field. */
function damaged(bytes: Uint8Array, random: () => number): Uint8Array {
  const copy = Buffer.from(bytes);
  const at = Math.floor(random() * copy.length);
  const kind = Math.floor(random() * 3);
  if (kind === 0) return copy.subarray(0, at);
  if (kind === 1) return Buffer.concat([copy, Buffer.from([0x0b, 0x7f, 0xff])]);
  if (copy.length > 0) copy[at] = Math.floor(random() * 256);
  return copy;
}

function pick<T>(from: readonly T[], random: () => number): T {
  return from[Math.floor(random() * from.length)] as T;
}
