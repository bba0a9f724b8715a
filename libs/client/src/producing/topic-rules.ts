/** What a topic asks of records, checked before they share a batch with others. */
import { checkRecord, HEADER_BYTES } from '@partita/batch';
import type { RecordInput } from '@partita/batch';
import { asPartitaError, BATCH_BYTES_MAX, PartitaError, TIMESTAMP_FUTURE_MS_MAX } from '@partita/domain';
import type { CompressionCodec, TopicRoute } from '@partita/protocol';

/** Whatever a topic allows, a batch with its header must hold a record and its framing. */
const BATCHED_RECORD_BYTES_MAX = BATCH_BYTES_MAX - HEADER_BYTES - 16;

/** Throws UNSUPPORTED_CODEC when the topic does not take it. */
export function checkCodec(codec: CompressionCodec, { topic, allowedCodecs }: TopicRoute): void {
  if (allowedCodecs.length === 0 || allowedCodecs.includes(codec)) return;
  const metadata = { codec: String(codec), allowed: allowedCodecs.join(',') };
  throw new PartitaError('UNSUPPORTED_CODEC', `topic "${topic}" does not take codec ${codec}`, metadata);
}

/** Why the topic does not take the record, or undefined. Its timestamp is set. */
export function recordFault(record: RecordInput, route: TopicRoute, nowMs: number): PartitaError | undefined {
  const aheadMs = route.timestampFutureMsMax > 0n ? Number(route.timestampFutureMsMax) : TIMESTAMP_FUTURE_MS_MAX;
  try {
    checkRecord(record, {
      recordBytesMax: Math.min(route.recordBytesMax, BATCHED_RECORD_BYTES_MAX),
      timestampMsMax: nowMs + aheadMs,
      compacted: route.compacted,
    });
    return undefined;
  } catch (error) {
    return asPartitaError(error);
  }
}
