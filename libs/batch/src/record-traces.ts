/**
 * Which records of a batch have a traceparent, without decoding it: one search through the bytes where none has, and a
 * walk over the records' lengths where one does. A compressed batch is unpacked for it.
 */
import { BATCH_DATA } from './batch-header.ts';
import { readWholeHeader } from './batch-codec.ts';
import { decompress } from './compression/codec.ts';
import { recordsAt } from './header-access.ts';
import { OFFSET_DELTA_TAG, readOffsetDelta, RECORD_TAG, TRACEPARENT_TAG } from './record-set.ts';
import { WireReader } from './wire-reader.ts';

/** A record that says to which trace it belongs. */
export interface RecordTrace {
  readonly offset: bigint;
  readonly traceparent: string;
}

const RECORD_SET = 'partita.v1.RecordSet';
/** How the field begins: its tag, a length of 55, and the version of the W3C form. A value may hold the same bytes. */
const FIELD_START = Buffer.from([TRACEPARENT_TAG, 55, 0x30, 0x30, 0x2d]);

/** The first `countMax` of them, in the order of offsets. Throws INVALID_BATCH and the like. */
export function recordTraces(buf: Uint8Array, position: number, countMax: number): RecordTrace[] {
  const header = readWholeHeader(buf, position);
  if (header.type !== BATCH_DATA) return [];
  const set = decompress(header.codec, recordsAt(buf, position), header.uncompressedBytes);
  const reader = new WireReader(set, RECORD_SET);
  const found: RecordTrace[] = [];
  let index = 0;
  let next = reader.buf.indexOf(FIELD_START);
  while (next !== -1 && found.length < countMax && !reader.done()) {
    const tag = reader.tag();
    if (tag !== RECORD_TAG) {
      reader.skip(tag);
      continue;
    }
    const outerEnd = reader.enter();
    if (next < reader.end) {
      const { traceparent, delta } = traceIn(reader, index);
      if (traceparent !== '') found.push({ offset: header.baseOffset + BigInt(delta), traceparent });
      next = reader.buf.indexOf(FIELD_START, reader.end);
    }
    reader.leave(outerEnd);
    index += 1;
  }
  return found;
}

function traceIn(reader: WireReader, index: number): { readonly traceparent: string; readonly delta: number } {
  let traceparent = '';
  let delta = index;
  while (!reader.done()) {
    const tag = reader.tag();
    if (tag === TRACEPARENT_TAG) traceparent = reader.text();
    else if (tag === OFFSET_DELTA_TAG) delta = readOffsetDelta(reader);
    else reader.skip(tag);
  }
  return { traceparent, delta };
}
