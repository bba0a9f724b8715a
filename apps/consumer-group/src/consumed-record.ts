/** A stored record as consumers see it. */
import { recordBytes } from '@partita/batch';
import type { BatchHeader, DecodedRecord } from '@partita/batch';
import { TimestampType } from '@partita/protocol';
import type { ConsumedRecord, TopicRoute } from '@partita/protocol';

/** What the position of a record costs beside the record itself, at most: three numbers and the framing. */
const POSITION_BYTES = 40;

/** Bytes of the record that count against a credit: it as serialised, without its position. */
export function consumedBytes(record: DecodedRecord): number {
  return recordBytes(record);
}

/** Bytes that the record takes in a response, at most. */
export function responseBytes(record: DecodedRecord): number {
  return recordBytes(record) + POSITION_BYTES;
}

/** The record with its position. Its bytes are views of the batch. */
export function consumedRecord(record: DecodedRecord, header: BatchHeader, isAppendTime: boolean): ConsumedRecord {
  return {
    offset: record.offset,
    record: {
      key: record.key,
      value: record.value,
      headers: [...record.headers],
      timestampMs: recordTimeMs(record, header, isAppendTime),
      traceparent: record.traceparent,
      tracestate: record.tracestate,
      offsetDelta: undefined,
    },
    leaderEpoch: header.leaderEpoch,
    appendTimeMs: header.appendTimeMs,
  };
}

/** Whether readers of the topic see the leader's time at append; false for a topic that is gone. */
export function usesAppendTime(route: TopicRoute | undefined): boolean {
  return route?.timestampType === TimestampType.TIMESTAMP_TYPE_APPEND;
}

/** The record's time as its topic defines it. */
export function recordTimeMs(record: DecodedRecord, header: BatchHeader, isAppendTime: boolean): bigint {
  return isAppendTime ? header.appendTimeMs : record.timestampMs;
}
