/** The errors of this library, so that the same fault has the same reason and metadata wherever it is found. */
import { PartitaError } from '@partita/domain';
import type { ErrorMetadata } from '@partita/domain';

/** A batch that breaks a rule of the format. The message is `what is wrong; what to do`: its first half is the rule. */
export function invalidBatch(message: string, metadata: ErrorMetadata = {}, cause?: unknown): PartitaError {
  const [rule = ''] = message.split(';', 1);
  return new PartitaError('INVALID_BATCH', message, { rule, ...metadata }, { cause });
}

/** Bytes that no protobuf parser reads. `name` is that of the message that they should be. */
export function malformed(message: string, name: string): PartitaError {
  return new PartitaError('MALFORMED_MESSAGE', `${message}; send a serialised ${name}`, { message: name });
}

const CODEC_NAMES = ['UNSPECIFIED', 'NONE', 'ZSTD', 'LZ4', 'GZIP'];
const EVERY_CODEC = [1, 2, 3, 4];

/** A compression codec that is unknown, or is not among those that a topic takes. */
export function unsupportedCodec(codec: number, allowedCodecs: readonly number[] = EVERY_CODEC): PartitaError {
  const nameOf = (value: number): string => CODEC_NAMES[value] ?? String(value);
  const allowed = allowedCodecs.map(nameOf).join(',');
  const message = `codec ${nameOf(codec)} is not taken here; use one of ${allowed}`;
  return new PartitaError('UNSUPPORTED_CODEC', message, { codec: nameOf(codec), allowed });
}

/** A batch above a limit. `what` names it and its unit, `measure` is the unit alone. */
export function batchTooLarge(measure: 'bytes' | 'records', what: string, size: number, limit: number): PartitaError {
  const metadata = { [measure]: String(size), limit: String(limit) };
  return new PartitaError('BATCH_TOO_LARGE', `${what} is ${size}, at most ${limit}; send smaller batches`, metadata);
}

/** A record above a limit. `what` names it and its unit, `measure` is the unit alone. */
export function recordTooLarge(
  measure: 'bytes' | 'headers' | 'chars',
  what: string,
  size: number,
  limit: number,
): PartitaError {
  const metadata = { [measure]: String(size), limit: String(limit) };
  return new PartitaError('RECORD_TOO_LARGE', `${what} is ${size}, at most ${limit}; send a smaller record`, metadata);
}

/** A timestamp that no record may carry. `limitMs` is the bound that it passes, milliseconds since 1970. */
export function invalidTimestamp(timestampMs: bigint, limitMs: bigint | number, why: string): PartitaError {
  const message = `timestamp ${timestampMs} ms ${why}; check the producer's clock and unit (milliseconds)`;
  return new PartitaError('INVALID_TIMESTAMP', message, {
    timestamp_ms: String(timestampMs),
    limit_ms: String(limitMs),
  });
}

/** Bytes whose checksum is not the one that came with them. */
export function checksumMismatch(what: string, expected: number, actual: number): PartitaError {
  const message = `${what} is ${hex(expected)} but the bytes have ${hex(actual)}: they changed on the way; send them again`;
  return new PartitaError('CHECKSUM_MISMATCH', message, { expected: hex(expected), actual: hex(actual) });
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`;
}
