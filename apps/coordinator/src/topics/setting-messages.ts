/** Topic settings between the contract's message and the cluster's words. */
import type { Codec, SettingValues, TopicSettings } from '@partita/cluster';
import { PartitaError } from '@partita/domain';
import {
  CleanupPolicy,
  CompressionCodec,
  FlushMode,
  TimestampType,
  TopicSettings as TopicSettingsMessage,
} from '@partita/protocol';
import type { Duration } from '@partita/protocol';
import { checkEnum } from '@partita/rpc';

const FLUSH = words({ fsync: FlushMode.FLUSH_MODE_FSYNC, os: FlushMode.FLUSH_MODE_OS });
const CLEANUP = words({
  delete: CleanupPolicy.CLEANUP_POLICY_DELETE,
  compact: CleanupPolicy.CLEANUP_POLICY_COMPACT,
  compact_delete: CleanupPolicy.CLEANUP_POLICY_COMPACT_DELETE,
});
const TIMESTAMP = words({
  create: TimestampType.TIMESTAMP_TYPE_CREATE,
  append: TimestampType.TIMESTAMP_TYPE_APPEND,
});
const CODEC = words<Codec, CompressionCodec>({
  none: CompressionCodec.COMPRESSION_CODEC_NONE,
  zstd: CompressionCodec.COMPRESSION_CODEC_ZSTD,
  lz4: CompressionCodec.COMPRESSION_CODEC_LZ4,
  gzip: CompressionCodec.COMPRESSION_CODEC_GZIP,
});

/** Settings that the message names; UNSPECIFIED words and absent fields stay absent. Throws for what no setting can be. */
export function settingsFromMessage(message: TopicSettingsMessage | undefined): TopicSettings {
  if (message === undefined) return {};
  const allowed = message.allowedCodecs.flatMap((codec) => word('allowed_codecs', CODEC, codec) ?? []);
  const found: { [Name in keyof SettingValues]: SettingValues[Name] | undefined } = {
    minInSyncReplicas: message.minInSyncReplicas,
    flush: word('flush', FLUSH, message.flush),
    retentionAge: milliseconds('retention_age', message.retentionAge),
    retentionBytes: wholeNumber('retention_bytes', message.retentionBytes),
    cleanupPolicy: word('cleanup_policy', CLEANUP, message.cleanupPolicy),
    segmentBytes: wholeNumber('segment_bytes', message.segmentBytes),
    segmentAge: milliseconds('segment_age', message.segmentAge),
    recordBytesMax: message.recordBytesMax,
    timestampType: word('timestamp_type', TIMESTAMP, message.timestampType),
    timestampFutureMsMax: wholeNumber('timestamp_future_ms_max', message.timestampFutureMsMax),
    allowedCodecs: allowed.length === 0 ? undefined : allowed,
    tombstoneDelay: milliseconds('tombstone_delay', message.tombstoneDelay),
    compactionLag: milliseconds('compaction_lag', message.compactionLag),
    produceBytesPerSecond: wholeNumber('produce_bytes_per_second', message.produceBytesPerSecond),
    consumeBytesPerSecond: wholeNumber('consume_bytes_per_second', message.consumeBytesPerSecond),
  };
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined));
}

export function settingsMessage(settings: TopicSettings): TopicSettingsMessage {
  return {
    minInSyncReplicas: settings.minInSyncReplicas,
    flush: settings.flush && FLUSH.get(settings.flush),
    retentionAge: duration(settings.retentionAge),
    retentionBytes: int64(settings.retentionBytes),
    cleanupPolicy: settings.cleanupPolicy && CLEANUP.get(settings.cleanupPolicy),
    segmentBytes: int64(settings.segmentBytes),
    segmentAge: duration(settings.segmentAge),
    recordBytesMax: settings.recordBytesMax,
    timestampType: settings.timestampType && TIMESTAMP.get(settings.timestampType),
    timestampFutureMsMax: int64(settings.timestampFutureMsMax),
    allowedCodecs: (settings.allowedCodecs ?? []).flatMap((codec) => CODEC.get(codec) ?? []),
    tombstoneDelay: duration(settings.tombstoneDelay),
    compactionLag: duration(settings.compactionLag),
    produceBytesPerSecond: int64(settings.produceBytesPerSecond),
    consumeBytesPerSecond: int64(settings.consumeBytesPerSecond),
  };
}

function words<Word extends string, Value>(table: Readonly<Record<Word, Value>>): ReadonlyMap<Word, Value> {
  return new Map(Object.entries(table) as [Word, Value][]);
}

function word<Word extends string, Value extends number>(
  name: string,
  table: ReadonlyMap<Word, Value>,
  value: number | undefined,
): Word | undefined {
  if (value === undefined || value === 0) return undefined;
  const known = checkEnum(value, [...table.values()], name);
  return [...table].find(([, candidate]) => candidate === known)?.[0];
}

function milliseconds(name: string, value: Duration | undefined): number | undefined {
  if (value === undefined) return undefined;
  const ms = value.seconds * 1000n + BigInt(Math.trunc(value.nanos / 1e6));
  if (value.nanos % 1e6 !== 0) throw invalid(name, 'must be whole milliseconds');
  return wholeNumber(name, ms);
}

function wholeNumber(name: string, value: bigint | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (value > BigInt(Number.MAX_SAFE_INTEGER) || value < BigInt(Number.MIN_SAFE_INTEGER))
    throw invalid(name, 'is beyond 2^53');
  return Number(value);
}

function invalid(name: string, why: string): PartitaError {
  return new PartitaError('INVALID_SETTING', `${name} ${why}`, { setting: name });
}

function duration(ms: number | undefined): Duration | undefined {
  return ms === undefined ? undefined : { seconds: BigInt(Math.floor(ms / 1000)), nanos: (ms % 1000) * 1e6 };
}

function int64(value: number | undefined): bigint | undefined {
  return value === undefined ? undefined : BigInt(value);
}
