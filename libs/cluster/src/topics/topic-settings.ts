/**
 * The settings of a topic: one table with name, unit, range and default, and everything that follows from it. Names are
 * those of the proto's TopicSettings. Times are milliseconds, sizes bytes, both safe integers; -1 = no limit where allowed.
 */
import {
  BATCH_BYTES_MAX,
  PartitaError,
  RECORD_BYTES_MAX,
  RETENTION_AGE_MS_DEFAULT,
  SEGMENT_AGE_MS_DEFAULT,
  SEGMENT_BYTES_MAX,
  SEGMENT_BYTES_MIN,
  TIMESTAMP_FUTURE_MS_MAX,
  TOMBSTONE_DELAY_MS_DEFAULT,
} from '@partita/domain';
import { formatSetting } from '../setting-text.ts';
import type { SettingUnit } from '../setting-text.ts';

export const CODECS = ['none', 'zstd', 'lz4', 'gzip'] as const;
export type Codec = (typeof CODECS)[number];

/** Every setting with a value. */
export interface SettingValues {
  readonly minInSyncReplicas: number;
  readonly flush: 'fsync' | 'os';
  /** 0 = kept for ever. */
  readonly retentionAge: number;
  readonly retentionBytes: number;
  readonly cleanupPolicy: 'delete' | 'compact' | 'compact_delete';
  readonly segmentBytes: number;
  readonly segmentAge: number;
  readonly recordBytesMax: number;
  readonly timestampType: 'create' | 'append';
  readonly timestampFutureMsMax: number;
  /** Empty = all. */
  readonly allowedCodecs: readonly Codec[];
  readonly tombstoneDelay: number;
  readonly compactionLag: number;
  readonly produceBytesPerSecond: number;
  readonly consumeBytesPerSecond: number;
}

/** A topic's own settings; absent = the default. */
export type TopicSettings = { readonly [Name in keyof SettingValues]?: SettingValues[Name] | undefined };

interface SettingRule {
  /** Name in the proto. */
  readonly name: string;
  readonly unit: SettingUnit;
  readonly min?: number;
  readonly max?: number;
  /** Values outside the range that are allowed, with their meaning. */
  readonly special?: number;
}

const SECOND = 1000;
const HOUR = 3600 * SECOND;
const DAY = 24 * HOUR;
const KIB = 1024;

const RULES: Readonly<Record<keyof SettingValues, SettingRule>> = {
  minInSyncReplicas: { name: 'min_in_sync_replicas', unit: 'count', min: 1 },
  flush: { name: 'flush', unit: 'word' },
  retentionAge: { name: 'retention_age', unit: 'duration', min: SECOND, special: 0 },
  retentionBytes: { name: 'retention_bytes', unit: 'bytes', min: SEGMENT_BYTES_MIN, special: -1 },
  cleanupPolicy: { name: 'cleanup_policy', unit: 'word' },
  segmentBytes: { name: 'segment_bytes', unit: 'bytes', min: SEGMENT_BYTES_MIN, max: SEGMENT_BYTES_MAX },
  segmentAge: { name: 'segment_age', unit: 'duration', min: SECOND },
  recordBytesMax: { name: 'record_bytes_max', unit: 'bytes', min: KIB, max: BATCH_BYTES_MAX },
  timestampType: { name: 'timestamp_type', unit: 'word' },
  timestampFutureMsMax: { name: 'timestamp_future_ms_max', unit: 'duration', min: 0, max: DAY },
  allowedCodecs: { name: 'allowed_codecs', unit: 'word' },
  tombstoneDelay: { name: 'tombstone_delay', unit: 'duration', min: 0 },
  compactionLag: { name: 'compaction_lag', unit: 'duration', min: 0 },
  produceBytesPerSecond: { name: 'produce_bytes_per_second', unit: 'bytes_per_second', min: KIB, special: -1 },
  consumeBytesPerSecond: { name: 'consume_bytes_per_second', unit: 'bytes_per_second', min: KIB, special: -1 },
};

/** The settings, in the order of the table. */
export const SETTING_KEYS = Object.keys(RULES) as readonly (keyof SettingValues)[];

/** The setting of a proto field name, or undefined. */
export function settingKeyOf(protoName: string): keyof SettingValues | undefined {
  return SETTING_KEYS.find((key) => RULES[key].name === protoName);
}

/** What holds where a topic says nothing. */
export function defaultSettings(replicationFactor: number): SettingValues {
  return {
    minInSyncReplicas: Math.floor(replicationFactor / 2) + 1,
    flush: 'fsync',
    retentionAge: RETENTION_AGE_MS_DEFAULT,
    retentionBytes: -1,
    cleanupPolicy: 'delete',
    segmentBytes: 128 * KIB * KIB,
    segmentAge: SEGMENT_AGE_MS_DEFAULT,
    recordBytesMax: RECORD_BYTES_MAX,
    timestampType: 'create',
    timestampFutureMsMax: TIMESTAMP_FUTURE_MS_MAX,
    allowedCodecs: [],
    tombstoneDelay: TOMBSTONE_DELAY_MS_DEFAULT,
    compactionLag: 0,
    produceBytesPerSecond: -1,
    consumeBytesPerSecond: -1,
  };
}

/** Every setting as it holds: the topic's own, else the default. */
export function settingsInForce(settings: TopicSettings, replicationFactor: number): SettingValues {
  const own = Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
  return { ...defaultSettings(replicationFactor), ...own };
}

/** Throws INVALID_SETTING, naming setting, value and range, unless a topic of that replication factor may have these. */
export function checkSettings(settings: TopicSettings, replicationFactor: number): void {
  for (const key of SETTING_KEYS) {
    const value = settings[key];
    if (typeof value === 'number') checkRange(RULES[key], value);
  }
  const { minInSyncReplicas, retentionBytes, segmentBytes } = settingsInForce(settings, replicationFactor);
  if (minInSyncReplicas > replicationFactor) {
    throw invalid(
      RULES.minInSyncReplicas,
      minInSyncReplicas,
      `must be at most the replication factor, ${replicationFactor}`,
    );
  }
  if (retentionBytes !== -1 && retentionBytes < segmentBytes) {
    throw invalid(
      RULES.retentionBytes,
      retentionBytes,
      `must be at least one segment, ${formatSetting('bytes', segmentBytes)}, or -1 for no limit`,
    );
  }
}

function checkRange(rule: SettingRule, value: number): void {
  const { min = 0, max = Number.MAX_SAFE_INTEGER, special, unit } = rule;
  if (Number.isSafeInteger(value) && (value === special || (value >= min && value <= max))) return;
  const upper = rule.max === undefined ? '' : ` and at most ${formatSetting(unit, max)}`;
  const or = special === undefined ? '' : `, or ${special} for no limit`;
  throw invalid(rule, value, `must be a whole number of at least ${formatSetting(unit, min)}${upper}${or}`);
}

function invalid(rule: SettingRule, value: number, why: string): PartitaError {
  return new PartitaError('INVALID_SETTING', `${rule.name} ${why}; it is ${value}`, {
    setting: rule.name,
    value: String(value),
  });
}

/** A setting as it holds, as text. */
export interface EffectiveSetting {
  readonly name: string;
  readonly value: string;
  readonly source: 'default' | 'topic';
}

/** All settings with values and sources, in the order of the table. */
export function effectiveSettings(settings: TopicSettings, replicationFactor: number): EffectiveSetting[] {
  const inForce = settingsInForce(settings, replicationFactor);
  return SETTING_KEYS.map((key) => ({
    name: RULES[key].name,
    value: settingText(key, inForce),
    source: settings[key] === undefined ? 'default' : 'topic',
  }));
}

function settingText(key: keyof SettingValues, values: SettingValues): string {
  const value = values[key];
  if (typeof value === 'string') return value;
  if (typeof value !== 'number') return value.length === 0 ? 'all' : value.join(',');
  if (value === RULES[key].special) return 'unlimited';
  return formatSetting(RULES[key].unit, value);
}
