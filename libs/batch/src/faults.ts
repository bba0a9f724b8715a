/** The errors of this library, so that the same fault has the same reason and metadata wherever it is found. */
import { PartitaError } from '@partita/domain';
import type { ErrorMetadata } from '@partita/domain';

/** A batch that breaks a rule of the format. */
export function invalidBatch(message: string, metadata: ErrorMetadata = {}, cause?: unknown): PartitaError {
  return new PartitaError('INVALID_BATCH', message, metadata, { cause });
}

/** Bytes that no protobuf parser reads. */
export function malformed(message: string): PartitaError {
  return new PartitaError('MALFORMED_MESSAGE', `${message}; send a serialised partita.v1 message`);
}

/** A batch above a limit. `what` names the measure and its unit. */
export function batchTooLarge(what: string, size: number, limit: number): PartitaError {
  const metadata = { size: String(size), limit: String(limit) };
  return new PartitaError('BATCH_TOO_LARGE', `${what} is ${size}, at most ${limit}; send smaller batches`, metadata);
}

/** A record above a limit. `what` names the measure and its unit. */
export function recordTooLarge(what: string, size: number, limit: number): PartitaError {
  const metadata = { size: String(size), limit: String(limit) };
  return new PartitaError('RECORD_TOO_LARGE', `${what} is ${size}, at most ${limit}; send a smaller record`, metadata);
}

/** A timestamp that no record may carry. */
export function invalidTimestamp(timestampMs: bigint, why: string): PartitaError {
  const message = `timestamp ${timestampMs} ms ${why}; check the producer's clock and unit (milliseconds)`;
  return new PartitaError('INVALID_TIMESTAMP', message, { timestamp_ms: String(timestampMs) });
}

/** Bytes whose checksum is not the one that came with them. */
export function checksumMismatch(what: string, claimed: number, actual: number): PartitaError {
  const message = `${what} is ${hex(claimed)} but the bytes have ${hex(actual)}: they changed on the way; send them again`;
  return new PartitaError('CHECKSUM_MISMATCH', message, { claimed: hex(claimed), actual: hex(actual) });
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`;
}
