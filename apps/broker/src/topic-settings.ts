/** What the settings of a topic mean for a broker that holds one of its partitions. */
import {
  isInternalTopic,
  RECORD_BYTES_MAX,
  RETENTION_AGE_MS_DEFAULT,
  SEGMENT_AGE_MS_DEFAULT,
  TIMESTAMP_FUTURE_MS_MAX,
  TOMBSTONE_DELAY_MS_DEFAULT,
} from '@partita/domain';
import { CleanupPolicy, CompressionCodec, TimestampType, TopicSettings } from '@partita/protocol';
import type { Duration, TopicConfig } from '@partita/protocol';

export interface EffectiveSettings {
  readonly segmentBytes: number;
  /** Milliseconds by the leader's clock. */
  readonly segmentAgeMsMax: number;
  /** True = old records are deleted, by age and by bytes. */
  readonly deletes: boolean;
  /** Infinity = kept for ever. */
  readonly retentionAgeMsMax: number;
  /** Infinity = no limit. */
  readonly retentionBytesMax: number;
  /** True = of each key only the last value is kept. */
  readonly compacts: boolean;
  readonly tombstoneDelayMs: number;
  readonly compactionLagMs: number;
  readonly recordBytesMax: number;
  /** Undefined = all. */
  readonly codecs: readonly number[] | undefined;
  /** Infinity on topics where the leader's clock counts, not the record's. */
  readonly timestampFutureMsMax: number;
  /** True = a record's time is that of its append. */
  readonly usesAppendTime: boolean;
}

/** A topic as a broker keeps it in memory. Replaced whole when a newer version arrives. */
export interface KnownTopic {
  readonly config: TopicConfig;
  readonly settings: EffectiveSettings;
  /** One of Partita's own: only its services write it. */
  readonly isInternal: boolean;
}

/** Works out the settings in force; `segmentBytesDefault` is the broker's own. */
export function knownTopic(config: TopicConfig, segmentBytesDefault: number): KnownTopic {
  const settings = config.settings ?? TopicSettings.create();
  return {
    config,
    settings: { ...recordSettings(settings), ...logCareSettings(settings, segmentBytesDefault) },
    isInternal: isInternalTopic(config.topic),
  };
}

type LogCareNames =
  | 'segmentBytes'
  | 'segmentAgeMsMax'
  | 'deletes'
  | 'retentionAgeMsMax'
  | 'retentionBytesMax'
  | 'compacts'
  | 'tombstoneDelayMs'
  | 'compactionLagMs';

function recordSettings(settings: TopicSettings): Omit<EffectiveSettings, LogCareNames> {
  const usesAppendTime = settings.timestampType === TimestampType.TIMESTAMP_TYPE_APPEND;
  const codecs = settings.allowedCodecs;
  return {
    recordBytesMax: settings.recordBytesMax ?? RECORD_BYTES_MAX,
    // A topic may not forbid what it needs for itself: uncompressed records are always taken.
    codecs: codecs.length === 0 ? undefined : [CompressionCodec.COMPRESSION_CODEC_NONE, ...codecs],
    timestampFutureMsMax: usesAppendTime ? Infinity : Number(settings.timestampFutureMsMax ?? TIMESTAMP_FUTURE_MS_MAX),
    usesAppendTime,
  };
}

function logCareSettings(settings: TopicSettings, segmentBytes: number): Pick<EffectiveSettings, LogCareNames> {
  return {
    segmentBytes: Number(settings.segmentBytes ?? segmentBytes),
    segmentAgeMsMax: milliseconds(settings.segmentAge) ?? SEGMENT_AGE_MS_DEFAULT,
    ...cleanup(settings.cleanupPolicy),
    retentionAgeMsMax: unlessNone(milliseconds(settings.retentionAge) ?? RETENTION_AGE_MS_DEFAULT, 0),
    retentionBytesMax: unlessNone(Number(settings.retentionBytes ?? -1), -1),
    tombstoneDelayMs: milliseconds(settings.tombstoneDelay) ?? TOMBSTONE_DELAY_MS_DEFAULT,
    compactionLagMs: milliseconds(settings.compactionLag) ?? 0,
  };
}

function cleanup(policy: CleanupPolicy | undefined): { deletes: boolean; compacts: boolean } {
  const isCompact = policy === CleanupPolicy.CLEANUP_POLICY_COMPACT;
  return { deletes: !isCompact, compacts: isCompact || policy === CleanupPolicy.CLEANUP_POLICY_COMPACT_DELETE };
}

function milliseconds(duration: Duration | undefined): number | undefined {
  return duration === undefined ? undefined : Number(duration.seconds) * 1000 + duration.nanos / 1e6;
}

function unlessNone(value: number, none: number): number {
  return value === none ? Infinity : value;
}
