/** What a topic asks of records, checked before they share a batch with others. */
import { checkRecord, HEADER_BYTES, unsupportedCodec } from '@partita/batch';
import type { RecordInput, RecordLimits } from '@partita/batch';
import { asPartitaError, BATCH_BYTES_MAX, TIMESTAMP_FUTURE_MS_MAX } from '@partita/domain';
import type { PartitaError } from '@partita/domain';
import type { CompressionCodec, TopicRoute } from '@partita/protocol';

/** Whatever a topic allows, a batch with its header must hold a record and its framing. */
const BATCHED_RECORD_BYTES_MAX = BATCH_BYTES_MAX - HEADER_BYTES - 16;

/** Throws UNSUPPORTED_CODEC when the topic does not take it. */
export function checkCodec(codec: CompressionCodec, { allowedCodecs }: TopicRoute): void {
  if (allowedCodecs.length === 0 || allowedCodecs.includes(codec)) return;
  throw unsupportedCodec(codec, allowedCodecs);
}

/** Limits of the topic's records at a time, milliseconds UTC. */
export function recordLimits(route: TopicRoute, nowMs: number): RecordLimits {
  const aheadMs = route.timestampFutureMsMax > 0n ? Number(route.timestampFutureMsMax) : TIMESTAMP_FUTURE_MS_MAX;
  return {
    recordBytesMax: Math.min(route.recordBytesMax, BATCHED_RECORD_BYTES_MAX),
    timestampMsMax: nowMs + aheadMs,
    compacted: route.compacted,
  };
}

/** Why a record is not taken, or undefined. Its timestamp is set. */
export function recordFault(record: RecordInput, limits: RecordLimits): PartitaError | undefined {
  try {
    checkRecord(record, limits);
    return undefined;
  } catch (error) {
    return asPartitaError(error);
  }
}
