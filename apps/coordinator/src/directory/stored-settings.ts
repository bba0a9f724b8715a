/**
 * The JSON text in a topic's entry of the metadata store, which is this file's alone, version 1:
 *
 *   {"v":1,"name":"orders","ranges":[[0,2147483647],…],"settings":{…},"createTimeMs":…,"requestId":"…"}
 *
 * `name` is the topic's own, which differs from the entry's while the topic is parked.
 */
import { isDeepStrictEqual } from 'node:util';
import type { TopicDefinition, TopicSettings } from '@partita/cluster';
import { topicNameFault } from '@partita/domain';
import { settingsFromMessage, settingsMessage } from '../topics/setting-messages.ts';

type StoredSettings = Pick<TopicDefinition, 'name' | 'ranges' | 'settings' | 'createTimeMs' | 'requestId'>;

const HASH_MAX = 2 ** 32 - 1;

export function encodeStoredSettings(definition: StoredSettings): string {
  const { name, ranges, settings, createTimeMs, requestId } = definition;
  return JSON.stringify({
    v: 1,
    name,
    ranges: ranges.map(({ hashMin, hashMax }) => [hashMin, hashMax]),
    settings,
    createTimeMs,
    requestId,
  });
}

/** Undefined for what this file did not write: every field is held against what it can be. */
export function decodeStoredSettings(text: string): StoredSettings | undefined {
  const json = parse(text);
  if (typeof json !== 'object' || json === null || !('v' in json) || json.v !== 1) return undefined;
  const { name, ranges, settings, createTimeMs, requestId } = json as Readonly<Record<string, unknown>>;
  if (typeof name !== 'string' || topicNameFault(name) !== undefined || typeof requestId !== 'string') return undefined;
  if (!Array.isArray(ranges) || !ranges.every(isRange) || !isSettings(settings)) return undefined;
  if (typeof createTimeMs !== 'number' || !Number.isSafeInteger(createTimeMs)) return undefined;
  return {
    name,
    ranges: ranges.map(([hashMin, hashMax]) => ({ hashMin, hashMax })),
    settings,
    createTimeMs,
    requestId,
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isRange(range: unknown): range is [number, number] {
  if (!Array.isArray(range) || range.length !== 2) return false;
  return range.every((hash) => Number.isInteger(hash) && hash >= 0 && hash <= HASH_MAX) && range[0] <= range[1];
}

/** True for what a message can say and says again. */
function isSettings(value: unknown): value is TopicSettings {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  if (Object.values(value).some((each) => typeof each === 'number' && !Number.isSafeInteger(each))) return false;
  try {
    return isDeepStrictEqual(settingsFromMessage(settingsMessage(value)), value);
  } catch {
    return false;
  }
}
