import { expect, test } from 'vitest';
import { parseSettings, resetSettings } from './topic-settings.ts';

test('settings take the units that people write', () => {
  expect(
    parseSettings([
      'retention_age=1h',
      'segment-bytes=64MiB',
      'flush=os',
      'allowed_codecs=zstd,none',
      'retention_bytes=unlimited',
    ]),
  ).toEqual({
    retentionAge: { seconds: 3600n, nanos: 0 },
    segmentBytes: 67_108_864n,
    flush: 2,
    allowedCodecs: [2, 1],
    retentionBytes: -1n,
  });
  expect(parseSettings(['segment_age=1500ms', 'timestamp_future_ms_max=1h'])).toEqual({
    segmentAge: { seconds: 1n, nanos: 500_000_000 },
    timestampFutureMsMax: 3_600_000n,
  });
});

test.each([
  ['retention_age', 'write name=value'],
  ['retention_aeg=1h', 'did you mean retention_age?'],
  ['retention_age=1', 'setting retention_age: "1" has no unit'],
  ['flush=never', '"never" is none of fsync, os'],
  ['min_in_sync_replicas=two', 'no whole number'],
])('%s is refused', (pair, message) => {
  expect(() => parseSettings([pair])).toThrow(message);
});

test('a reset gives the default again', () => {
  expect(resetSettings(['retention-age', 'allowed_codecs'])).toEqual({ retentionAge: undefined, allowedCodecs: [] });
  expect(Object.keys(resetSettings(['segment_bytes']))).toEqual(['segmentBytes']);
  expect(() => resetSettings(['retention_aeg'])).toThrow('did you mean retention_age?');
});
