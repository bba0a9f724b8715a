/** Records as callers give and get them, and as they travel. */
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
  /** W3C trace context of the send, or empty. */
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

/** Upper bound of what a service counts for a record. */
export function receivedBytes({ record }: WireConsumedRecord): number {
  let bytes =
    128 + (record?.key?.byteLength ?? 0) + (record?.value?.byteLength ?? 0) + (record?.tracestate.length ?? 0);
  // A UTF-16 unit takes at most three bytes.
  for (const header of record?.headers ?? []) bytes += 16 + 3 * header.name.length + header.value.byteLength;
  return bytes;
}
