/**
 * The settings of the cluster in the directory: the hash `settings` with the fields `version` and `settings`, the JSON text that
 * the coordinator owns.
 */
import { field, text, whole } from './stored-fields.ts';

export interface SettingsEntry {
  /** 1 for the first. */
  readonly version: number;
  /** JSON text that the coordinator owns; kept as it is. */
  readonly settings: string;
}

/** Field and value by turns, as HSET takes them. */
export function encodeSettingsEntry({ version, settings }: SettingsEntry): string[] {
  return ['version', String(version), 'settings', settings];
}

/** `hash` is what HGETALL returned; undefined when there is none. */
export function decodeSettingsEntry(where: string, hash: Readonly<Record<string, string>>): SettingsEntry | undefined {
  if (Object.keys(hash).length === 0) return undefined;
  const entry = { where, value: hash };
  return { version: whole(field(entry, 'version'), 1), settings: text(field(entry, 'settings')) };
}
