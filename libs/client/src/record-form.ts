/** Records as callers give and get them, and as they travel. */
import { recordBytes } from '@partita/batch';
import type { BatchHeader, DecodedRecord } from '@partita/batch';
import type { ConsumedRecord as WireConsumedRecord, Header, Record as WireRecord } from '@partita/protocol';

/** A record to send. Text is stored as UTF-8. */
export interface OutgoingRecord {
  /** Chooses the partition. Absent: any partition. Empty differs from absent. */
  readonly key?: string | Uint8Array | undefined;
  /** Absent or null: a tombstone. */
  readonly value?: string | Uint8Array | null | undefined;
  readonly headers?: Headers | undefined;
  /** Milliseconds since 1970 UTC. Default: the gateway's clock at receipt. */
  readonly timestampMs?: number | undefined;
}

/** Headers by name, or as pairs where order or repeated names matter. */
export type Headers =
  Readonly<Record<string, string | Uint8Array>> | readonly (readonly [string, string | Uint8Array])[];

/** One header as received. */
export interface ReceivedHeader {
  readonly name: string;
  readonly value: Uint8Array;
}

/** A record as received. Its bytes are the receiver's. */
export interface ReceivedRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  /** Undefined: the record has no key. */
  readonly key: Uint8Array | undefined;
  /** Undefined: a tombstone. */
  readonly value: Uint8Array | undefined;
  readonly headers: readonly ReceivedHeader[];
  /** Milliseconds since 1970 UTC: the producer's, or the append time where the topic says so. */
  readonly timestampMs: number;
  /** The leader's wall clock at append, milliseconds since 1970 UTC. */
  readonly appendTimeMs: number;
  readonly leaderEpoch: number;
  /** W3C trace context of the span that delivered the record, or of the send where no service traces; or empty. */
  readonly traceparent: string;
  readonly tracestate: string;
}

const encoder = new TextEncoder();

export function wireRecord(record: OutgoingRecord, traceparent: string): WireRecord {
  const { key, value } = record;
  return {
    key: key === undefined ? undefined : bytesOf(key),
    value: value === undefined || value === null ? undefined : bytesOf(value),
    headers: record.headers === undefined ? [] : wireHeaders(record.headers),
    timestampMs: record.timestampMs === undefined ? 0n : BigInt(Math.trunc(record.timestampMs)),
    traceparent,
    tracestate: '',
    offsetDelta: undefined,
  };
}

function wireHeaders(headers: Headers): Header[] {
  const pairs = isPairs(headers) ? headers : Object.entries(headers);
  return pairs.map(([name, value]) => ({ name, value: bytesOf(value) }));
}

function isPairs(headers: Headers): headers is readonly (readonly [string, string | Uint8Array])[] {
  return Array.isArray(headers);
}

function bytesOf(content: string | Uint8Array): Uint8Array {
  return typeof content === 'string' ? encoder.encode(content) : content;
}

export function receivedRecord(topic: string, partition: number, consumed: WireConsumedRecord): ReceivedRecord {
  const record = consumed.record;
  return {
    topic,
    partition,
    offset: consumed.offset,
    key: record?.key,
    value: record?.value,
    headers: record?.headers ?? [],
    timestampMs: Number(record?.timestampMs ?? 0n),
    appendTimeMs: Number(consumed.appendTimeMs),
    leaderEpoch: consumed.leaderEpoch,
    traceparent: record?.traceparent ?? '',
    tracestate: record?.tracestate ?? '',
  };
}

/** A record of a batch as stored. Its bytes are views of the batch. */
export function storedRecord(
  { topic, partition }: { readonly topic: string; readonly partition: number },
  record: DecodedRecord,
  header: BatchHeader,
  isAppendTime: boolean,
): ReceivedRecord {
  const appendTimeMs = Number(header.appendTimeMs);
  return {
    topic,
    partition,
    offset: record.offset,
    key: record.key,
    value: record.value,
    headers: record.headers,
    timestampMs: isAppendTime ? appendTimeMs : Number(record.timestampMs),
    appendTimeMs,
    leaderEpoch: header.leaderEpoch,
    traceparent: record.traceparent,
    tracestate: record.tracestate,
  };
}

/** What the stored form may have and the delivered one has not: an offset delta, and a longer timestamp. */
const UNSEEN_BYTES = 16;

/** What a service counts for a record, or a few bytes more: counting less would use the window up. */
export function receivedBytes({ record }: WireConsumedRecord): number {
  return UNSEEN_BYTES + (record === undefined ? 0 : recordBytes(record));
}
