/** What the settings of a topic mean for a broker that holds one of its partitions. */
import { isInternalTopic, RECORD_BYTES_MAX, TIMESTAMP_FUTURE_MS_MAX } from '@partita/domain';
import { CompressionCodec, TimestampType } from '@partita/protocol';
import type { TopicConfig } from '@partita/protocol';

export interface EffectiveSettings {
  readonly segmentBytes: number;
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
  const { settings } = config;
  const usesAppendTime = settings?.timestampType === TimestampType.TIMESTAMP_TYPE_APPEND;
  const codecs = settings?.allowedCodecs ?? [];
  return {
    config,
    settings: {
      segmentBytes: Number(settings?.segmentBytes ?? segmentBytesDefault),
      recordBytesMax: settings?.recordBytesMax ?? RECORD_BYTES_MAX,
      // A topic may not forbid what it needs for itself: uncompressed records are always taken.
      codecs: codecs.length === 0 ? undefined : [CompressionCodec.COMPRESSION_CODEC_NONE, ...codecs],
      timestampFutureMsMax: usesAppendTime
        ? Infinity
        : Number(settings?.timestampFutureMsMax ?? TIMESTAMP_FUTURE_MS_MAX),
      usesAppendTime,
    },
    isInternal: isInternalTopic(config.topic),
  };
}
