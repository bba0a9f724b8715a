import { PartitaError } from '@partita/domain';
import { describe, expect, it } from 'vitest';
import { checkSettings, effectiveSettings, SETTING_KEYS, settingKeyOf, settingsInForce } from './topic-settings.ts';
import type { TopicSettings } from './topic-settings.ts';

function fault(settings: TopicSettings, replicationFactor = 1): string {
  try {
    checkSettings(settings, replicationFactor);
    return '';
  } catch (error) {
    expect(error).toBeInstanceOf(PartitaError);
    expect((error as PartitaError).reason).toBe('INVALID_SETTING');
    return (error as PartitaError).message;
  }
}

describe('checking settings', () => {
  it.each<TopicSettings>([
    {},
    { retentionAge: 0 },
    { retentionAge: 1000 },
    { retentionBytes: -1 },
    { retentionBytes: 65_536, segmentBytes: 65_536 },
    { recordBytesMax: 2 * 1024 * 1024 },
    { timestampFutureMsMax: 0 },
    { produceBytesPerSecond: 1024 },
    { minInSyncReplicas: undefined },
  ])('takes %j', (settings) => {
    expect(fault(settings)).toBe('');
  });

  it.each<[TopicSettings, string]>([
    [{ retentionAge: 999 }, 'retention_age must be a whole number of at least 1s, or 0 for no limit; it is 999'],
    [
      { retentionBytes: 1_000_000 },
      'retention_bytes must be at least one segment, 128MiB, or -1 for no limit; it is 1000000',
    ],
    [{ segmentBytes: 1 }, 'segment_bytes must be a whole number of at least 64KiB and at most 256MiB; it is 1'],
    [
      { recordBytesMax: 3 * 1024 * 1024 },
      'record_bytes_max must be a whole number of at least 1KiB and at most 2MiB; it is 3145728',
    ],
    [{ minInSyncReplicas: 2 }, 'min_in_sync_replicas must be at most the replication factor, 1; it is 2'],
    [
      { timestampFutureMsMax: -1 },
      'timestamp_future_ms_max must be a whole number of at least 0s and at most 1d; it is -1',
    ],
    [
      { consumeBytesPerSecond: 1.5 },
      'consume_bytes_per_second must be a whole number of at least 1KiB/s, or -1 for no limit; it is 1.5',
    ],
  ])('refuses %j', (settings, message) => {
    expect(fault(settings)).toBe(message);
  });
});

it('takes a majority as the default of min ISR', () => {
  expect([1, 2, 3, 5].map((replicas) => settingsInForce({}, replicas).minInSyncReplicas)).toEqual([1, 2, 2, 3]);
});

it('tells every setting in force with its source', () => {
  const settings = effectiveSettings({ retentionAge: 0, segmentBytes: 1024 * 1024, allowedCodecs: ['zstd', 'lz4'] }, 1);
  expect(settings).toHaveLength(SETTING_KEYS.length);
  expect(settings).toContainEqual({ name: 'retention_age', value: 'unlimited', source: 'topic' });
  expect(settings).toContainEqual({ name: 'segment_bytes', value: '1MiB', source: 'topic' });
  expect(settings).toContainEqual({ name: 'allowed_codecs', value: 'zstd,lz4', source: 'topic' });
  expect(settings).toContainEqual({ name: 'flush', value: 'fsync', source: 'default' });
  expect(settings).toContainEqual({ name: 'compaction_lag', value: '0s', source: 'default' });
  expect(settings).toContainEqual({ name: 'retention_bytes', value: 'unlimited', source: 'default' });
});

it('knows settings by their proto names only', () => {
  expect(settingKeyOf('retention_age')).toBe('retentionAge');
  expect(settingKeyOf('retentionAge')).toBeUndefined();
});
