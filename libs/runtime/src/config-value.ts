/** One option's value: from text or JSON to its typed form, its range, and back to text. */
import { PartitaError } from '@partita/domain';
import { formatAddress, parseAddress } from './address.ts';
import type { Address } from './address.ts';
import type { ConfigOption, ListOption } from './config-spec.ts';
import { formatBytes, formatDuration, parseBytes, parseDuration } from './units.ts';

/** A parsed value of any kind. */
export type ConfigValue = string | number | boolean | Address | readonly string[] | readonly Address[];

/** A value, or why the text is none; `fault` quotes the value and says what to write instead. */
export type ParsedValue =
  { readonly ok: true; readonly value: ConfigValue } | { readonly ok: false; readonly fault: string };

type RangedOption = Extract<ConfigOption, { kind: 'integer' | 'number' | 'duration' | 'bytes' }>;

/** Parses the text of a flag or an environment variable (a list's text holds commas). */
export function parseOptionText(option: ConfigOption, text: string): ParsedValue {
  try {
    return checkRange(option, text, convert(option, text));
  } catch (error) {
    if (error instanceof PartitaError) return { ok: false, fault: error.message };
    throw error;
  }
}

/** Parses a value of the config file: the same texts, or JSON's own numbers, booleans and arrays where they fit. */
export function parseOptionJson(option: ConfigOption, json: unknown): ParsedValue {
  if (typeof json === 'string') return parseOptionText(option, json);
  if (option.kind === 'flag' && typeof json === 'boolean') return { ok: true, value: json };
  if ((option.kind === 'integer' || option.kind === 'number') && typeof json === 'number') {
    return parseOptionText(option, String(json));
  }
  if (option.kind === 'list' && Array.isArray(json) && json.every((item) => typeof item === 'string')) {
    return parseOptionText(option, json.join(','));
  }
  const shown = option.kind === 'text' && option.secret ? 'the value' : JSON.stringify(json);
  return { ok: false, fault: `${shown} has the wrong JSON type: write ${JSON_FORMS[option.kind]}` };
}

/** A value as one would write it on the command line. */
export function formatOptionValue(option: ConfigOption, value: ConfigValue): string {
  if (Array.isArray(value)) return value.map((item: string | Address) => formatItem(item)).join(',');
  if (option.kind === 'duration' && typeof value === 'number') return formatDuration(value);
  if (option.kind === 'bytes' && typeof value === 'number') return formatBytes(value);
  return typeof value === 'object' ? formatItem(value as Address) : String(value);
}

/** The option's range or choices in words, or undefined when it has none. */
export function rangeText(option: ConfigOption): string | undefined {
  if (option.kind === 'choice') return `one of ${option.choices.join(', ')}`;
  if (!isRanged(option)) return undefined;
  const min = boundOf(option, option.min);
  const max = boundOf(option, option.max);
  if (min !== undefined && max !== undefined)
    return `${formatOptionValue(option, min)} to ${formatOptionValue(option, max)}`;
  if (min !== undefined) return `at least ${formatOptionValue(option, min)}`;
  return max === undefined ? undefined : `at most ${formatOptionValue(option, max)}`;
}

const JSON_FORMS: Readonly<Record<ConfigOption['kind'], string>> = {
  text: 'a string',
  integer: 'a whole number',
  number: 'a number',
  duration: 'a string with a unit, for example "10s"',
  bytes: 'a string with a unit, for example "64MiB"',
  flag: 'true or false',
  address: 'a string "host:port"',
  choice: 'a string',
  list: 'an array of strings',
};

const FLAG_WORDS: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['1', true],
  ['false', false],
  ['0', false],
]);

function convert(option: ConfigOption, text: string): ConfigValue {
  switch (option.kind) {
    case 'duration':
      return parseDuration(text);
    case 'bytes':
      return parseBytes(text);
    case 'address':
      return parseAddress(text);
    case 'list':
      return parseList(option, text);
    case 'integer': {
      const value = Number(text);
      if (!/^-?\d+$/.test(text) || !Number.isSafeInteger(value)) throw fault(text, 'is no whole number');
      return value;
    }
    case 'number': {
      if (!/^-?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(text) || !Number.isFinite(Number(text)))
        throw fault(text, 'is no number');
      return Number(text);
    }
    case 'flag': {
      const value = FLAG_WORDS.get(text);
      if (value === undefined) throw fault(text, 'is neither true nor false');
      return value;
    }
    case 'choice':
      if (!option.choices.includes(text)) throw fault(text, `is not one of ${option.choices.join(', ')}`);
      return text;
    case 'text':
      if (text === '') throw fault(text, 'is empty');
      return text;
  }
}

function parseList(option: ListOption, text: string): readonly string[] | readonly Address[] {
  if (text.trim() === '') return [];
  const items = text.split(',').map((item) => item.trim());
  if (items.includes('')) throw fault(text, 'has an empty item: separate items by one comma');
  return option.items === 'address' ? items.map(parseAddress) : items;
}

function checkRange(option: ConfigOption, text: string, value: ConfigValue): ParsedValue {
  if (isRanged(option) && typeof value === 'number') {
    const min = boundOf(option, option.min);
    const max = boundOf(option, option.max);
    if ((min !== undefined && value < min) || (max !== undefined && value > max)) {
      return { ok: false, fault: `"${text}" is out of range: ${rangeText(option)}` };
    }
  }
  return { ok: true, value };
}

function isRanged(option: ConfigOption): option is RangedOption {
  return option.kind === 'integer' || option.kind === 'number' || option.kind === 'duration' || option.kind === 'bytes';
}

function boundOf(option: RangedOption, bound: string | number | undefined): number | undefined {
  if (typeof bound !== 'string') return bound;
  return option.kind === 'duration' ? parseDuration(bound) : parseBytes(bound);
}

function formatItem(item: string | Address): string {
  return typeof item === 'string' ? item : formatAddress(item);
}

function fault(text: string, why: string): PartitaError {
  return new PartitaError('INVALID_SETTING', `"${text}" ${why}`, { value: text });
}
