/**
 * The settings of the cluster as brokers, the directory and operators see them. In the directory they are JSON that only this file
 * reads, version 1:
 *
 *   {"v":1,"autoBalance":false,"moveBytesPerSecond":…,"drainingBrokerIds":[…],"leaderlessBrokerIds":[…],"removedBrokerIds":[…],
 *    "quotas":[{"clientId":"…","topic":"…","produceBytesPerSecond":…,"consumeBytesPerSecond":…},…]}
 *
 * A rate that is not set is absent, and so is `quotas` where an older version wrote it. What cannot be read is passed over: the
 * brokers have a copy.
 */
import { effectiveClusterSettings } from '@partita/cluster';
import type { ClusterSettings } from '@partita/cluster';
import type { Quota } from '@partita/domain';
import type { SettingsEntry } from '@partita/metadata-store';
import { SettingSource } from '@partita/protocol';
import type { ClusterSettings as SettingsMessage, EffectiveSetting } from '@partita/protocol';
import { quotaFromMessage, quotaMessage } from '@partita/rpc';

export function settingsFromPeer(message: SettingsMessage): ClusterSettings {
  const { moveBytesPerSecond } = message;
  return {
    version: message.version,
    autoBalance: message.autoBalance,
    moveBytesPerSecond: moveBytesPerSecond === undefined ? undefined : Number(moveBytesPerSecond),
    drainingBrokerIds: message.drainingBrokerIds,
    leaderlessBrokerIds: message.leaderlessBrokerIds,
    removedBrokerIds: message.removedBrokerIds,
    quotas: message.quotas.map(quotaFromMessage),
  };
}

export function settingsForPeer(settings: ClusterSettings): SettingsMessage {
  const { moveBytesPerSecond } = settings;
  return {
    version: settings.version,
    autoBalance: settings.autoBalance,
    moveBytesPerSecond: moveBytesPerSecond === undefined ? undefined : BigInt(moveBytesPerSecond),
    drainingBrokerIds: [...settings.drainingBrokerIds],
    leaderlessBrokerIds: [...settings.leaderlessBrokerIds],
    removedBrokerIds: [...settings.removedBrokerIds],
    quotas: settings.quotas.map(quotaMessage),
  };
}

/** Undefined while nothing was ever set. */
export function settingsEntry({ version, ...values }: ClusterSettings): SettingsEntry | undefined {
  if (version === 0n) return undefined;
  return { version: Number(version), settings: JSON.stringify({ v: 1, ...values }) };
}

/** Undefined when the entry is not of this file's making. */
export function storedSettings({ version, settings }: SettingsEntry): ClusterSettings | undefined {
  const json = parsed(settings);
  if (json?.['v'] !== 1) return undefined;
  const { autoBalance, moveBytesPerSecond } = json;
  return {
    version: BigInt(version),
    autoBalance: typeof autoBalance === 'boolean' ? autoBalance : undefined,
    moveBytesPerSecond: typeof moveBytesPerSecond === 'number' ? moveBytesPerSecond : undefined,
    drainingBrokerIds: ids(json['drainingBrokerIds']),
    leaderlessBrokerIds: ids(json['leaderlessBrokerIds']),
    removedBrokerIds: ids(json['removedBrokerIds']),
    quotas: quotas(json['quotas']),
  };
}

function parsed(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const json: unknown = JSON.parse(text);
    return typeof json === 'object' && json !== null ? { ...json } : undefined;
  } catch {
    return undefined;
  }
}

function ids(value: unknown): number[] {
  if (!Array.isArray(value)) return [];
  return value.filter((id): id is number => Number.isInteger(id));
}

function quotas(value: unknown): Quota[] {
  if (!Array.isArray(value)) return [];
  return value.filter(isObject).flatMap((quota) => {
    const { clientId, topic } = quota;
    if (typeof clientId !== 'string' || typeof topic !== 'string') return [];
    const produceBytesPerSecond = rate(quota['produceBytesPerSecond']);
    const consumeBytesPerSecond = rate(quota['consumeBytesPerSecond']);
    return { clientId, topic, produceBytesPerSecond, consumeBytesPerSecond };
  });
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

function rate(value: unknown): number | undefined {
  return typeof value === 'number' && value > 0 ? value : undefined;
}

/** As operators see them: each with its value, and whether it was set. */
export function settingsShown(settings: ClusterSettings): EffectiveSetting[] {
  const { autoBalance, moveBytesPerSecond } = effectiveClusterSettings(settings);
  const { drainingBrokerIds, leaderlessBrokerIds } = settings;
  return [
    shown('auto_balance', autoBalance ? 'on' : 'off', settings.autoBalance !== undefined),
    shown('move_bytes_per_second', String(moveBytesPerSecond), settings.moveBytesPerSecond !== undefined),
    shown('draining_broker_ids', drainingBrokerIds.join(), drainingBrokerIds.length > 0),
    shown('leaderless_broker_ids', leaderlessBrokerIds.join(), leaderlessBrokerIds.length > 0),
  ];
}

function shown(name: string, value: string, isSet: boolean): EffectiveSetting {
  const source = isSet ? SettingSource.SETTING_SOURCE_CLUSTER : SettingSource.SETTING_SOURCE_DEFAULT;
  return { name, value, source };
}
