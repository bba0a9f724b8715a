/** Stored batches and the other things of a data directory as lines, and the same as objects for --json. */
import {
  BATCH_CLAIM,
  BATCH_CONFIG,
  BATCH_EPOCH_START,
  CODEC_GZIP,
  CODEC_LZ4,
  CODEC_NONE,
  CODEC_ZSTD,
} from '@partita/batch';
import type { BatchHeader, DecodedRecord } from '@partita/batch';
import type { ReceivedRecord } from '@partita/client';
import { ClaimRecord, EpochStartRecord, ReplicaConfigRecord } from '@partita/protocol';

const CODEC_NAMES: Readonly<Record<number, string>> = {
  [CODEC_NONE]: 'none',
  [CODEC_ZSTD]: 'zstd',
  [CODEC_LZ4]: 'lz4',
  [CODEC_GZIP]: 'gzip',
};
const TYPE_NAMES: Readonly<Record<number, string>> = {
  1: 'data',
  [BATCH_EPOCH_START]: 'epoch-start',
  [BATCH_CONFIG]: 'config',
  [BATCH_CLAIM]: 'claim',
};
const YEAR_10000_MS = 253_402_300_800_000n;

/** A header as an object to print; `position` is its place in the file. */
export function describeBatch(header: BatchHeader, position: number): Record<string, unknown> {
  const hasProducer = header.producerId.some((byte) => byte !== 0);
  return {
    position,
    baseOffset: header.baseOffset,
    lastOffset: header.baseOffset + BigInt(header.lastOffsetDelta),
    leaderEpoch: header.leaderEpoch,
    appendTime: timeOf(header.appendTimeMs),
    records: header.recordCount,
    codec: CODEC_NAMES[header.codec],
    type: TYPE_NAMES[header.type],
    bytes: header.batchBytes,
    uncompressedBytes: header.uncompressedBytes,
    firstTimestamp: timeOf(header.firstTimestampMs),
    maxTimestamp: timeOf(header.maxTimestampMs),
    tombstones: header.hasTombstones ? true : undefined,
    ...(hasProducer
      ? {
          producerId: Buffer.from(header.producerId).toString('hex'),
          producerEpoch: header.producerEpoch,
          firstSequence: header.firstSequence,
        }
      : {}),
  };
}

/** A header as a line. */
export function batchLine(header: BatchHeader, position: number): string {
  const last = header.baseOffset + BigInt(header.lastOffsetDelta);
  const flags = [
    ...(header.hasTombstones ? ['tombstones'] : []),
    ...(header.producerId.some((byte) => byte !== 0)
      ? [`producer ${Buffer.from(header.producerId).toString('hex')}/${header.producerEpoch}/${header.firstSequence}`]
      : []),
  ];
  return [
    `byte ${position}`,
    `offsets ${header.baseOffset}-${last}`,
    `epoch ${header.leaderEpoch}`,
    timeOf(header.appendTimeMs),
    `${header.recordCount} records`,
    CODEC_NAMES[header.codec],
    TYPE_NAMES[header.type],
    `${header.batchBytes} bytes`,
    ...flags,
  ].join('  ');
}

/** The content of a control batch as an object to print; undefined for data. Throws when it is no such message. */
export function describeControl(type: number, content: Uint8Array): object | undefined {
  if (type === BATCH_EPOCH_START) return printableMessage(EpochStartRecord.decode(content));
  if (type === BATCH_CONFIG) return printableMessage(ReplicaConfigRecord.decode(content));
  if (type === BATCH_CLAIM) return printableMessage(ClaimRecord.decode(content));
  return undefined;
}

/** A message with its bytes as hex, so that JSON can hold it. */
export function printableMessage(message: object): object {
  return Object.fromEntries(
    Object.entries(message)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]: [string, unknown]) => [name, printableValue(value)]),
  );
}

function printableValue(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (Array.isArray(value)) return value.map(printableValue);
  return typeof value === 'object' && value !== null ? printableMessage(value) : value;
}

/** A stored record as `consume` would receive it. */
export function storedRecord(
  record: DecodedRecord,
  header: BatchHeader,
  place: { readonly topic: string; readonly partition: number },
): ReceivedRecord {
  const { offset, key, value, headers, traceparent, tracestate } = record;
  return {
    ...place,
    offset,
    key,
    value,
    headers,
    timestampMs: Number(record.timestampMs),
    appendTimeMs: Number(header.appendTimeMs),
    leaderEpoch: header.leaderEpoch,
    traceparent,
    tracestate,
  };
}

/** RFC 3339 in UTC, or the milliseconds where that has no such form. */
export function timeOf(ms: bigint): string {
  return ms >= 0n && ms < YEAR_10000_MS ? new Date(Number(ms)).toISOString() : `${ms} ms`;
}
