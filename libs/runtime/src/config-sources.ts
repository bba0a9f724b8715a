/** Where options come from: the command line, the environment and the config file, each read against the spec. */
import { readFileSync } from 'node:fs';
import { BUILT_IN_OPTIONS, environmentName } from './config-spec.ts';
import type { ConfigOption, ConfigSpec } from './config-spec.ts';
import { parseOptionJson, parseOptionText } from './config-value.ts';
import type { ParsedValue } from './config-value.ts';
import { nearest } from './nearest.ts';

/** A value given for an option, with the words that name where (`PARTITA_LISTEN`, `partita.json`). */
export interface GivenOption {
  readonly kind: 'flag' | 'environment' | 'file';
  readonly from: string;
  readonly parsed: ParsedValue;
}

/** What one source gives, and what is wrong with the source itself (unknown names). Faults are whole sentences. */
export interface SourceReading {
  readonly given: ReadonlyMap<string, GivenOption>;
  readonly faults: readonly string[];
}

/** The command line: options of the spec and, by name, the built-in ones with their text ('' for those without). */
export interface ArgumentReading extends SourceReading {
  readonly builtIn: ReadonlyMap<string, string>;
}

/** Variables of Partita's tools, which a service meets in its environment and leaves alone. */
const TOOL_VARIABLES = ['PARTITA_HOME', 'PARTITA_SERVER', 'PARTITA_REDIS', 'PARTITA_TEST_*'] as const;
/** The config file's own path, as a variable. */
export const CONFIG_FILE_VARIABLE = 'PARTITA_CONFIG';
const PREFIX = 'PARTITA_';

/** Reads `--name value`, `--name=value`, `--flag`, `--no-flag`. Repeating is an error except for lists. */
export function readArguments(spec: ConfigSpec, argv: readonly string[]): ArgumentReading {
  const texts = new Map<string, string>();
  const builtIn = new Map<string, string>();
  const faults: string[] = [];
  const rest = [...argv];
  for (let argument = rest.shift(); argument !== undefined; argument = rest.shift()) {
    const split = splitArgument(spec, argument);
    const { name } = split;
    const option = name === undefined ? undefined : ownOption(spec, name);
    if (name === undefined) {
      faults.push(`unexpected argument "${argument}": options are written --name value`);
    } else if (option !== undefined) {
      faults.push(...takeOption(name, option, split, rest, texts));
    } else if ((BUILT_IN_OPTIONS as readonly string[]).includes(name)) {
      faults.push(...takeBuiltIn(name, split.inline, rest, builtIn));
    } else {
      faults.push(`unknown option --${name}${didYouMean(`--${name}`, flagNames(spec))}`);
      // The value of a mistyped option is no second mistake.
      if (split.inline === undefined && rest[0]?.startsWith('-') === false) rest.shift();
    }
  }
  return { given: parseAll(spec, texts, (name) => ({ kind: 'flag', from: `--${name}` })), faults, builtIn };
}

/** Reads `PARTITA_*`; an empty variable counts as not set. `ignore` names variables of others, `*` at the end for many. */
export function readEnvironment(spec: ConfigSpec, env: Environment, ignore: readonly string[]): SourceReading {
  const optionOf = new Map(Object.keys(spec).map((name) => [environmentName(name), name]));
  const ignored = [CONFIG_FILE_VARIABLE, ...TOOL_VARIABLES, ...ignore];
  const texts = new Map<string, string>();
  const faults: string[] = [];
  for (const [variable, text] of Object.entries(env)) {
    if (!variable.startsWith(PREFIX) || text === undefined) continue;
    const name = optionOf.get(variable);
    if (name !== undefined) {
      if (text !== '') texts.set(name, text);
    } else if (!ignored.some((pattern) => matches(pattern, variable))) {
      faults.push(
        `unknown environment variable ${variable}${didYouMean(variable, [...optionOf.keys(), CONFIG_FILE_VARIABLE])}`,
      );
    }
  }
  return { given: parseAll(spec, texts, (name) => ({ kind: 'environment', from: environmentName(name) })), faults };
}

/** Reads a JSON object of options by their flag names. */
export function readConfigFile(spec: ConfigSpec, path: string): SourceReading {
  const given = new Map<string, GivenOption>();
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    const why =
      error instanceof SyntaxError ? `is no valid JSON: ${error.message}` : `cannot be read: ${reasonOf(error)}`;
    return { given, faults: [`the config file ${path} ${why}`] };
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    return { given, faults: [`the config file ${path} must hold one JSON object: {"option-name": value, ...}`] };
  }
  const faults: string[] = [];
  for (const [key, value] of Object.entries(json)) {
    const option = ownOption(spec, key);
    if (option === undefined)
      faults.push(`unknown key "${key}" in the config file ${path}${didYouMean(key, Object.keys(spec))}`);
    else given.set(key, { kind: 'file', from: path, parsed: parseOptionJson(option, value) });
  }
  return { given, faults };
}

/** Environment variables by name, as `process.env` holds them. */
export type Environment = Readonly<Record<string, string | undefined>>;

interface SplitArgument {
  /** Undefined when the argument is no option at all. */
  readonly name: string | undefined;
  readonly negated: boolean;
  /** The text behind `=`. */
  readonly inline: string | undefined;
}

function splitArgument(spec: ConfigSpec, argument: string): SplitArgument {
  if (argument === '-h') return { name: 'help', negated: false, inline: undefined };
  const match = /^--([^=]+)(?:=([\s\S]*))?$/.exec(argument);
  const written = match?.[1];
  const inline = match?.[2];
  const positive = written?.startsWith('no-') ? written.slice('no-'.length) : undefined;
  if (positive !== undefined && inline === undefined && ownOption(spec, positive)?.kind === 'flag') {
    return { name: positive, negated: true, inline };
  }
  return { name: written, negated: false, inline };
}

/** Puts an option's text into `texts`, taking its value from `rest` when it is not inline; returns what is wrong. */
function takeOption(
  name: string,
  option: ConfigOption,
  split: SplitArgument,
  rest: string[],
  texts: Map<string, string>,
): string[] {
  const text = split.inline ?? (option.kind === 'flag' ? String(!split.negated) : takeValue(rest));
  if (text === undefined) return [needsValue(name)];
  const earlier = texts.get(name);
  if (earlier !== undefined && option.kind !== 'list') return [`--${name} is given twice`];
  texts.set(name, earlier === undefined ? text : `${earlier},${text}`);
  return [];
}

function takeBuiltIn(name: string, inline: string | undefined, rest: string[], builtIn: Map<string, string>): string[] {
  if (name !== 'config' && inline !== undefined) return [`--${name} takes no value`];
  const text = name === 'config' ? (inline ?? takeValue(rest)) : '';
  if (text === undefined) return [needsValue(name)];
  if (name === 'config' && builtIn.has(name)) return ['--config is given twice'];
  builtIn.set(name, text);
  return [];
}

/** The next argument, unless it is an option: a forgotten value must not swallow what follows. */
function takeValue(rest: string[]): string | undefined {
  return rest[0]?.startsWith('--') ? undefined : rest.shift();
}

function needsValue(name: string): string {
  return `--${name} needs a value: write --${name} VALUE`;
}

function parseAll(
  spec: ConfigSpec,
  texts: ReadonlyMap<string, string>,
  source: (name: string) => Pick<GivenOption, 'kind' | 'from'>,
): Map<string, GivenOption> {
  const given = new Map<string, GivenOption>();
  for (const [name, text] of texts) {
    const option = ownOption(spec, name);
    if (option !== undefined) given.set(name, { ...source(name), parsed: parseOptionText(option, text) });
  }
  return given;
}

/** The spec's option; names such as `constructor` are none. */
function ownOption(spec: ConfigSpec, name: string): ConfigOption | undefined {
  return Object.hasOwn(spec, name) ? spec[name] : undefined;
}

function flagNames(spec: ConfigSpec): string[] {
  return [...Object.keys(spec), ...BUILT_IN_OPTIONS].map((name) => `--${name}`);
}

function didYouMean(name: string, candidates: readonly string[]): string {
  const candidate = nearest(name, candidates);
  return candidate === undefined ? '; --help lists all options' : `; did you mean ${candidate}?`;
}

function matches(pattern: string, variable: string): boolean {
  return pattern.endsWith('*') ? variable.startsWith(pattern.slice(0, -1)) : variable === pattern;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
