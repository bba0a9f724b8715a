/** What a program says about its options: `--help` and `--print-config`. */
import { CONFIG_FILE_VARIABLE } from './config-sources.ts';
import { defaultText, environmentName } from './config-spec.ts';
import type { ConfigOption, ConfigSpec } from './config-spec.ts';
import { formatOptionValue, parseOptionText, rangeText } from './config-value.ts';
import type { ConfigValue } from './config-value.ts';

/** Who the program is, for `--help` and `--version`. */
export interface ProgramInfo {
  readonly program: string;
  readonly description: string;
  readonly version: string;
}

/** An option's value and the words that name its source; undefined for an optional one that was not given. */
export interface ResolvedOption {
  readonly option: ConfigOption;
  readonly value: ConfigValue | undefined;
  readonly source: string;
}

/** The whole text of `--help`. */
export function helpText(spec: ConfigSpec, info: ProgramInfo): string {
  const options = Object.entries(spec).map(([name, option]) => optionHelp(name, option));
  return `${info.program} ${info.version}
${info.description}

Usage: ${info.program} [options]

Options:
${options.join('\n')}
  --config FILE
        JSON object with options by the same names.
        Environment ${CONFIG_FILE_VARIABLE}.
  --print-config
        Print every option's value and where it comes from, and exit.
  --version
        Print the version and exit.
  -h, --help
        Print this text and exit.

A flag wins over its environment variable, that over the config file, that over the default.
Durations are written 500ms, 10s, 1m, 1h, 2d; sizes 100B, 64KiB, 64MiB, 1GB; addresses host:port or [::1]:port.
`;
}

/** The text of `--print-config`, one option a line, secrets hidden. */
export function printedConfig(resolved: ReadonlyMap<string, ResolvedOption>): string {
  const rows = [...resolved].map(([name, { option, value, source }]) => ({
    name,
    value: shownValue(option, value),
    source,
  }));
  const nameWidth = Math.max(0, ...rows.map((row) => row.name.length));
  const valueWidth = Math.max(0, ...rows.map((row) => row.value.length));
  return rows
    .map((row) => `${row.name.padEnd(nameWidth)}  ${row.value.padEnd(valueWidth)}  # ${row.source}\n`)
    .join('');
}

const PLACEHOLDERS: Readonly<Record<Exclude<ConfigOption['kind'], 'flag'>, string>> = {
  text: ' TEXT',
  integer: ' COUNT',
  number: ' NUMBER',
  duration: ' DURATION',
  bytes: ' SIZE',
  address: ' HOST:PORT',
  choice: ' WORD',
  list: ' ITEM,...',
};

function optionHelp(name: string, option: ConfigOption): string {
  const placeholder = option.kind === 'flag' ? '' : PLACEHOLDERS[option.kind];
  const facts = [rangeFact(option), defaultFact(name, option), `Environment ${environmentName(name)}.`];
  return `  --${name}${placeholder}\n        ${option.help}\n        ${facts.filter((fact) => fact !== undefined).join(' ')}`;
}

function rangeFact(option: ConfigOption): string | undefined {
  const range = rangeText(option);
  return range === undefined ? undefined : `${range[0]?.toUpperCase()}${range.slice(1)}.`;
}

function defaultFact(name: string, option: ConfigOption): string | undefined {
  if (option.kind === 'flag') return option.default === true ? `On unless --no-${name} is given.` : 'Off unless given.';
  const text = defaultText(option);
  if (text === undefined) return option.optional ? 'Optional.' : 'Required.';
  if (text === '') return 'Default empty.';
  if (option.kind === 'text' && option.secret) return 'Has a default.';
  const parsed = parseOptionText(option, text);
  return `Default ${parsed.ok ? formatOptionValue(option, parsed.value) : text}.`;
}

function shownValue(option: ConfigOption, value: ConfigValue | undefined): string {
  if (value === undefined) return '(not set)';
  if (option.kind === 'text' && option.secret) return '(hidden)';
  return formatOptionValue(option, value);
}
