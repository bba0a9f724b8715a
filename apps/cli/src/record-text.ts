/**
 * Records as lines of JSON, both ways: what `consume --json` prints `produce` reads. A line is
 * `{"key": text, "value": text | null, "headers": {name: text | [text, …]}, "timestamp": RFC 3339 | milliseconds}`; a
 * value that is absent or null is a tombstone, one that is a number, boolean, array or object is stored as its JSON.
 */
import type { Headers, OutgoingRecord, ReceivedRecord } from '@partita/client';
import { nearest } from '@partita/runtime';
import { printable, toBytes, toText } from './encoding.ts';
import type { Encoding } from './encoding.ts';
import { UsageError } from './exit-code.ts';
import { jsonLine } from './output/json.ts';

/** How keys and values are written. */
export interface TextForm {
  readonly keyEncoding: Encoding;
  readonly valueEncoding: Encoding;
}

const INPUT_FIELDS = ['key', 'value', 'headers', 'timestamp'] as const;
/** Printed by `consume --json`; they say nothing about a record to be sent. */
const OUTPUT_ONLY_FIELDS: ReadonlySet<string> = new Set([
  'topic',
  'partition',
  'offset',
  'appendTime',
  'leaderEpoch',
  'traceparent',
  'keyEncoding',
  'valueEncoding',
]);

/** Throws UsageError, without the line's number. */
export function parseRecord(line: string, form: TextForm): OutgoingRecord {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch (error) {
    const why = error instanceof Error ? error.message.replace(/ \(line.*\)$/, '') : String(error);
    throw new UsageError(`no JSON: ${why}`);
  }
  if (!isObject(parsed)) throw new UsageError('not a JSON object: write {"key": "…", "value": "…"}');
  for (const name of Object.keys(parsed)) checkField(name);
  const { key, value, headers, timestamp } = parsed;
  if (key !== undefined && key !== null && typeof key !== 'string') throw new UsageError('"key" is no text');
  const keyEncoding = encodingOf(parsed['keyEncoding'], form.keyEncoding);
  const valueEncoding = encodingOf(parsed['valueEncoding'], form.valueEncoding);
  return {
    key: typeof key === 'string' ? toBytes(key, keyEncoding) : undefined,
    value: parseValue(value, valueEncoding),
    headers: headers === undefined || headers === null ? undefined : parseHeaders(headers),
    timestampMs: timestamp === undefined ? undefined : parseTimestamp(timestamp),
  };
}

function checkField(name: string): void {
  if (OUTPUT_ONLY_FIELDS.has(name) || INPUT_FIELDS.some((field) => field === name)) return;
  const meant = nearest(name, INPUT_FIELDS);
  throw new UsageError(
    `unknown field "${name}"${meant === undefined ? `: there are ${INPUT_FIELDS.join(', ')}` : `, did you mean "${meant}"?`}`,
  );
}

function parseValue(value: unknown, encoding: Encoding): Uint8Array | null {
  if (value === undefined || value === null) return null;
  if (typeof value === 'string') return toBytes(value, encoding);
  if (encoding !== 'utf8') throw new UsageError(`"value" is no ${encoding} text`);
  return toBytes(JSON.stringify(value), 'utf8');
}

function parseHeaders(headers: unknown): Headers {
  if (!isObject(headers)) throw new UsageError('"headers" is no object: write {"name": "text"}');
  return Object.entries(headers).flatMap(([name, content]) => {
    const values: readonly unknown[] = Array.isArray(content) ? content : [content];
    return values.map((value): readonly [string, string | Uint8Array] => {
      if (typeof value === 'string') return [name, value];
      if (isObject(value) && typeof value['base64'] === 'string') return [name, toBytes(value['base64'], 'base64')];
      throw new UsageError(`header "${name}" is no text`);
    });
  });
}

function parseTimestamp(timestamp: unknown): number {
  const ms = typeof timestamp === 'string' ? Date.parse(timestamp) : timestamp;
  if (typeof ms === 'number' && Number.isSafeInteger(ms) && ms >= 0) return ms;
  throw new UsageError('"timestamp" is no time: write 2001-02-03T04:05:06Z, or milliseconds since 1970');
}

function encodingOf(given: unknown, otherwise: Encoding): Encoding {
  return given === 'base64' ? given : otherwise;
}

/** A record as an object to print. Bytes that are no UTF-8 are printed as base64, and the object says so. */
export function describeRecord(record: ReceivedRecord, form: TextForm): Record<string, unknown> {
  const key = record.key === undefined ? undefined : toText(record.key, form.keyEncoding);
  const value = record.value === undefined ? undefined : toText(record.value, form.valueEncoding);
  const keyBinary = record.key !== undefined && key === undefined;
  const valueBinary = record.value !== undefined && value === undefined;
  return {
    topic: record.topic,
    partition: record.partition,
    offset: record.offset,
    key: record.key === undefined ? undefined : (key ?? toText(record.key, 'base64')),
    ...(keyBinary ? { keyEncoding: 'base64' } : {}),
    value: record.value === undefined ? null : (value ?? toText(record.value, 'base64')),
    ...(valueBinary ? { valueEncoding: 'base64' } : {}),
    headers: record.headers.length === 0 ? undefined : describeHeaders(record),
    timestamp: new Date(record.timestampMs).toISOString(),
    appendTime: new Date(record.appendTimeMs).toISOString(),
    leaderEpoch: record.leaderEpoch,
    traceparent: record.traceparent === '' ? undefined : record.traceparent,
  };
}

/** A record as one line: JSON, or partition/offset, key and value with tabs between. */
export function recordLine(record: ReceivedRecord, form: TextForm & { readonly json?: boolean | undefined }): string {
  if (form.json === true) return jsonLine(describeRecord(record, form));
  const key = record.key === undefined ? '-' : textOf(record.key, form.keyEncoding);
  const value = record.value === undefined ? '(deleted)' : textOf(record.value, form.valueEncoding);
  return `${record.partition}/${record.offset}\t${printable(key)}\t${printable(value)}`;
}

function textOf(bytes: Uint8Array, encoding: Encoding): string {
  return toText(bytes, encoding) ?? Buffer.from(bytes).toString('base64');
}

function describeHeaders(record: ReceivedRecord): Record<string, unknown> {
  const byName = new Map<string, unknown[]>();
  for (const { name, value } of record.headers) {
    const text = toText(value, 'utf8') ?? { base64: toText(value, 'base64') };
    byName.set(name, [...(byName.get(name) ?? []), text]);
  }
  return Object.fromEntries([...byName].map(([name, values]) => [name, values.length === 1 ? values[0] : values]));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
