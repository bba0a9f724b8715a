/**
 * One name, three spellings: `--fetch-wait-max 5s`, `PARTITA_FETCH_WAIT_MAX=5s`, `"fetch-wait-max": "5s"` in the file of
 * `--config`. Flag wins over environment, environment over file, file over default. Whatever is wrong is told at once,
 * naming option, value, source and range, and the process ends with exit code 2 before it touches anything.
 */
import { CONFIG_FILE_VARIABLE, readArguments, readConfigFile, readEnvironment } from './config-sources.ts';
import type { Environment, GivenOption, SourceReading } from './config-sources.ts';
import { camelCase, defaultText, environmentName } from './config-spec.ts';
import type { ConfigOf, ConfigOption, ConfigSpec } from './config-spec.ts';
import { helpText, printedConfig } from './config-text.ts';
import type { ProgramInfo, ResolvedOption } from './config-text.ts';
import { parseOptionText } from './config-value.ts';
import { EXIT_CODES } from './exit-codes.ts';

/** Everything `parseConfig` looks at: it reads neither `process.argv` nor `process.env` itself. */
export interface ParseConfigOptions<Spec extends ConfigSpec> extends ProgramInfo {
  /** Arguments without the interpreter and the script: `process.argv.slice(2)`. */
  readonly argv: readonly string[];
  readonly env: Environment;
  /** `PARTITA_*` variables of other programs that share the environment; a name may end in `*`. */
  readonly ignoreEnv?: readonly string[];
  /** Rules between options: what is wrong, or undefined. Runs when each option is valid by itself. */
  readonly check?: (config: ConfigOf<Spec>) => string | undefined;
}

/** Either a config to run with, or texts to print and the code to exit with. */
export type ConfigResult<Spec extends ConfigSpec> =
  | { readonly kind: 'run'; readonly config: ConfigOf<Spec>; readonly sources: Readonly<Record<string, string>> }
  | { readonly kind: 'exit'; readonly code: number; readonly stdout?: string; readonly stderr?: string };

/** Reads all sources against the spec. Never throws for what a user wrote. */
export function parseConfig<Spec extends ConfigSpec>(
  spec: Spec,
  options: ParseConfigOptions<Spec>,
): ConfigResult<Spec> {
  const fromArguments = readArguments(spec, options.argv);
  if (fromArguments.builtIn.has('help')) return printed(helpText(spec, options));
  if (fromArguments.builtIn.has('version')) return printed(`${options.program} ${options.version}\n`);

  const readings: SourceReading[] = [fromArguments, readEnvironment(spec, options.env, options.ignoreEnv ?? [])];
  const file = fromArguments.builtIn.get('config') ?? options.env[CONFIG_FILE_VARIABLE];
  if (file !== undefined && file !== '') readings.push(readConfigFile(spec, file));

  const faults = readings.flatMap((reading) => reading.faults);
  const resolved = new Map<string, ResolvedOption>();
  for (const [name, option] of Object.entries<ConfigOption>(spec)) {
    const given = readings.map((reading) => reading.given.get(name)).find((candidate) => candidate !== undefined);
    const outcome = resolve(name, option, given);
    if (typeof outcome === 'string') faults.push(outcome);
    else resolved.set(name, outcome);
  }
  if (faults.length > 0) return refused(options.program, faults);

  const config = Object.freeze(
    Object.fromEntries([...resolved].map(([name, { value }]) => [camelCase(name), value])),
  ) as ConfigOf<Spec>;
  const broken = options.check?.(config);
  if (broken !== undefined) return refused(options.program, [broken]);
  if (fromArguments.builtIn.has('print-config')) return printed(printedConfig(resolved));
  const sources = Object.fromEntries([...resolved].map(([name, { source }]) => [camelCase(name), source]));
  return { kind: 'run', config, sources: Object.freeze(sources) };
}

/** The option's value from what was given or its default; a text when that is impossible. */
function resolve(name: string, option: ConfigOption, given: GivenOption | undefined): ResolvedOption | string {
  if (given !== undefined) {
    if (!given.parsed.ok) return `--${name} (from ${sourceWords(given)}): ${given.parsed.fault}`;
    return { option, value: given.parsed.value, source: sourceWords(given) };
  }
  const text = defaultText(option);
  if (text !== undefined) {
    const parsed = parseOptionText(option, text);
    return parsed.ok
      ? { option, value: parsed.value, source: 'default' }
      : `--${name} (from its default): ${parsed.fault}`;
  }
  if (option.kind !== 'flag' && option.optional) return { option, value: undefined, source: 'default' };
  return `--${name} is required: give it as a flag, as ${environmentName(name)}, or as "${name}" in the config file`;
}

function sourceWords(given: GivenOption): string {
  if (given.kind === 'flag') return 'the command line';
  return given.kind === 'environment' ? `environment ${given.from}` : `file ${given.from}`;
}

function printed(stdout: string): ConfigResult<never> {
  return { kind: 'exit', code: EXIT_CODES.clean, stdout };
}

function refused(program: string, faults: readonly string[]): ConfigResult<never> {
  const lines = faults.map((fault) => `${program}: ${fault}\n`);
  return {
    kind: 'exit',
    code: EXIT_CODES.configuration,
    stderr: `${lines.join('')}Run ${program} --help for all options.\n`,
  };
}
