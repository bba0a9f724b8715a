import type { ReceivedRecord } from '@partita/client';
import { describe, expect, test } from 'vitest';
import { jsonLine } from './output/json.ts';
import { describeRecord, parseRecord } from './record-text.ts';

const UTF8 = { keyEncoding: 'utf8', valueEncoding: 'utf8' } as const;
const text = (bytes: unknown): string | undefined =>
  bytes instanceof Uint8Array ? Buffer.from(bytes).toString() : undefined;

describe('a line of input', () => {
  test('has key, value, headers and timestamp', () => {
    const record = parseRecord(
      '{"key":"k","value":"v","headers":{"a":"1","b":["2","3"]},"timestamp":"2001-02-03T00:00:00Z"}',
      UTF8,
    );
    expect([text(record.key), text(record.value)]).toEqual(['k', 'v']);
    expect(record.headers).toEqual([
      ['a', '1'],
      ['b', '2'],
      ['b', '3'],
    ]);
    expect(record.timestampMs).toBe(Date.UTC(2001, 1, 3));
  });

  test('without a value, or with null, is a tombstone; an empty value is a value', () => {
    expect(parseRecord('{"key":"k"}', UTF8).value).toBeNull();
    expect(parseRecord('{"key":"k","value":null}', UTF8).value).toBeNull();
    expect(text(parseRecord('{"key":"k","value":""}', UTF8).value)).toBe('');
    expect(parseRecord('{"value":"v"}', UTF8).key).toBeUndefined();
  });

  test('stores a value that is no text as its JSON', () => {
    expect(text(parseRecord('{"value":{"delay": 5}}', UTF8).value)).toBe('{"delay":5}');
  });

  test('reads keys and values in the encodings told', () => {
    const record = parseRecord('{"key":"00ff","value":"AP8="}', { keyEncoding: 'hex', valueEncoding: 'base64' });
    expect([...(record.key as Uint8Array)]).toEqual([0, 255]);
    expect([...(record.value as Uint8Array)]).toEqual([0, 255]);
  });

  test.each([
    ['{"kye":"k"}', 'unknown field "kye", did you mean "key"?'],
    ['{"key":1}', '"key" is no text'],
    ['[1]', 'not a JSON object'],
    ['{bad', 'no JSON'],
    ['{"headers":["a"]}', '"headers" is no object'],
    ['{"headers":{"a":1}}', 'header "a" is no text'],
    ['{"timestamp":"soon"}', '"timestamp" is no time'],
  ])('%s is refused', (line, message) => {
    expect(() => parseRecord(line, UTF8)).toThrow(message);
  });
});

describe('a record printed', () => {
  const record: ReceivedRecord = {
    topic: 't',
    partition: 1,
    offset: 9007199254740993n,
    key: Buffer.from('k'),
    value: Uint8Array.of(0xff),
    headers: [
      { name: 'a', value: Buffer.from('1') },
      { name: 'a', value: Uint8Array.of(0xfe) },
    ],
    timestampMs: 0,
    appendTimeMs: 1,
    leaderEpoch: 2,
    traceparent: '',
    tracestate: '',
  };

  test('is one line of JSON that keeps large offsets and binary content', () => {
    expect(jsonLine(describeRecord(record, UTF8))).toBe(
      '{"topic":"t","partition":1,"offset":"9007199254740993","key":"k","value":"/w==","valueEncoding":"base64",' +
        '"headers":{"a":["1",{"base64":"/g=="}]},"timestamp":"1970-01-01T00:00:00.000Z","appendTime":"1970-01-01T00:00:00.001Z","leaderEpoch":2}',
    );
  });

  test('can be sent again as it is', () => {
    const again = parseRecord(jsonLine(describeRecord(record, UTF8)), UTF8);
    expect([text(again.key), [...(again.value as Uint8Array)]]).toEqual(['k', [0xff]]);
    expect(again.timestampMs).toBe(0);
  });

  test('without a value has null there', () => {
    expect(describeRecord({ ...record, value: undefined }, UTF8)['value']).toBeNull();
  });
});
