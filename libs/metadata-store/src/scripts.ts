/**
 * Loads the Lua scripts, one file each in lua/. A line `-- @include NAME` is replaced by lua/includes/NAME.lua, which
 * may include others, and every script begins with the tables CODE (script-codes.ts) and LIMIT. Scripts are the only
 * writers of the directory.
 */
import { readFileSync } from 'node:fs';
import { METADATA_AUDIT_COUNT_MAX } from '@partita/domain';
import { SCRIPT_CODES } from './script-codes.ts';
import { STORED_NUMBER_MAX } from './stored-fields.ts';

const FOLDER = new URL('./lua/', import.meta.url);

export const SCRIPT_NAMES = [
  'lease-acquire',
  'lease-renew',
  'lease-release',
  'topic-create',
  'topic-activate',
  'topic-update',
  'topic-delete',
  'hash-put',
  'settings-put',
  'part-publish',
  'audit-append',
  'rebuild',
] as const;
export type ScriptName = (typeof SCRIPT_NAMES)[number];

/** The whole text of a script, as Redis gets it. */
export function scriptSource(name: ScriptName): string {
  const limits = { AUDIT_COUNT: METADATA_AUDIT_COUNT_MAX, COUNT: STORED_NUMBER_MAX };
  return `${luaTable('CODE', SCRIPT_CODES)}${luaTable('LIMIT', limits)}${withIncludes(read(`${name}.lua`))}`;
}

function withIncludes(text: string): string {
  return text.replaceAll(/^-- @include (\S+)$/gm, (_line, include: string) =>
    withIncludes(read(`includes/${include}.lua`)),
  );
}

function read(path: string): string {
  return readFileSync(new URL(path, FOLDER), 'utf8');
}

function luaTable(name: string, values: Readonly<Record<string, number>>): string {
  const entries = Object.entries(values).map(([key, value]) => `${key} = ${value}`);
  return `local ${name} = { ${entries.join(', ')} }\n`;
}
