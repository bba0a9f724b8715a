/** Settings of topics as `name=value`, with the units that people write. */
import { CleanupPolicy, CompressionCodec, FlushMode, TimestampType } from '@partita/protocol';
import type { TopicSettings } from '@partita/protocol';
import { PartitaError } from '@partita/domain';
import { nearest, parseBytes, parseDuration } from '@partita/runtime';
import { UsageError } from './exit-code.ts';

type Change = Partial<TopicSettings>;

const FLUSH = { fsync: FlushMode.FLUSH_MODE_FSYNC, os: FlushMode.FLUSH_MODE_OS };
const CLEANUP = {
  delete: CleanupPolicy.CLEANUP_POLICY_DELETE,
  compact: CleanupPolicy.CLEANUP_POLICY_COMPACT,
  compact_delete: CleanupPolicy.CLEANUP_POLICY_COMPACT_DELETE,
};
const TIMESTAMP = { create: TimestampType.TIMESTAMP_TYPE_CREATE, append: TimestampType.TIMESTAMP_TYPE_APPEND };
const CODECS = {
  none: CompressionCodec.COMPRESSION_CODEC_NONE,
  zstd: CompressionCodec.COMPRESSION_CODEC_ZSTD,
  lz4: CompressionCodec.COMPRESSION_CODEC_LZ4,
  gzip: CompressionCodec.COMPRESSION_CODEC_GZIP,
};

const PARSERS: Readonly<Record<string, (text: string) => Change>> = {
  min_in_sync_replicas: (text) => ({ minInSyncReplicas: whole(text) }),
  flush: (text) => ({ flush: word(text, FLUSH) }),
  retention_age: (text) => ({ retentionAge: text === 'unlimited' ? span(0) : time(text) }),
  retention_bytes: (text) => ({ retentionBytes: bytesOrNone(text) }),
  cleanup_policy: (text) => ({ cleanupPolicy: word(text, CLEANUP) }),
  segment_bytes: (text) => ({ segmentBytes: BigInt(parseBytes(text)) }),
  segment_age: (text) => ({ segmentAge: time(text) }),
  record_bytes_max: (text) => ({ recordBytesMax: parseBytes(text) }),
  timestamp_type: (text) => ({ timestampType: word(text, TIMESTAMP) }),
  timestamp_future_ms_max: (text) => ({
    timestampFutureMsMax: BigInt(/^\d+$/.test(text) ? text : parseDuration(text)),
  }),
  allowed_codecs: (text) => ({
    allowedCodecs: text === 'all' ? [] : text.split(',').map((codec) => word(codec, CODECS)),
  }),
  tombstone_delay: (text) => ({ tombstoneDelay: time(text) }),
  compaction_lag: (text) => ({ compactionLag: time(text) }),
  produce_bytes_per_second: (text) => ({ produceBytesPerSecond: bytesOrNone(text.replace(/\/s$/, '')) }),
  consume_bytes_per_second: (text) => ({ consumeBytesPerSecond: bytesOrNone(text.replace(/\/s$/, '')) }),
};

/** `["retention_age=1h", …]` as a message. Throws UsageError naming the setting. */
export function parseSettings(pairs: readonly string[]): Change {
  let settings: Change = {};
  for (const pair of pairs) {
    const equals = pair.indexOf('=');
    if (equals <= 0) throw new UsageError(`"${pair}" is no setting: write name=value, for example retention_age=1h`);
    const name = pair.slice(0, equals).replaceAll('-', '_');
    settings = { ...settings, ...parseSetting(name, pair.slice(equals + 1)) };
  }
  return settings;
}

/** `["retention_age", …]` as a message that gives each its default again. Throws UsageError naming the setting. */
export function resetSettings(names: readonly string[]): Change {
  const keys = names.map((given) => {
    const name = given.replaceAll('-', '_');
    parserOf(name);
    return name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
  });
  return Object.fromEntries(keys.map((key) => [key, key === 'allowedCodecs' ? [] : undefined]));
}

function parserOf(name: string): (text: string) => Change {
  const parse = Object.hasOwn(PARSERS, name) ? PARSERS[name] : undefined;
  if (parse !== undefined) return parse;
  const meant = nearest(name, Object.keys(PARSERS));
  const hint = meant === undefined ? `there are ${Object.keys(PARSERS).join(', ')}` : `did you mean ${meant}?`;
  throw new UsageError(`topics have no setting "${name}": ${hint}`);
}

function parseSetting(name: string, text: string): Change {
  const parse = parserOf(name);
  try {
    return parse(text);
  } catch (error) {
    if (error instanceof UsageError || error instanceof PartitaError)
      throw new UsageError(`setting ${name}: ${error.message}`);
    throw error;
  }
}

function whole(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new UsageError(`"${text}" is no whole number`);
}

function word<Value>(text: string, words: Readonly<Record<string, Value>>): Value {
  const value = Object.hasOwn(words, text) ? words[text] : undefined;
  if (value !== undefined) return value;
  throw new UsageError(`"${text}" is none of ${Object.keys(words).join(', ')}`);
}

function bytesOrNone(text: string): bigint {
  return text === '-1' || text === 'unlimited' ? -1n : BigInt(parseBytes(text));
}

function time(text: string): { seconds: bigint; nanos: number } {
  return span(parseDuration(text));
}

function span(ms: number): { seconds: bigint; nanos: number } {
  return { seconds: BigInt(Math.floor(ms / 1000)), nanos: (ms % 1000) * 1e6 };
}
