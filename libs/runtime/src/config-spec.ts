/**
 * What a program can be told: a spec names every option once, with its kind, default, range and help. Flag, environment
 * variable, file key, `--help`, `--print-config` and the TypeScript type of the parsed config all follow from it.
 */
import type { Address } from './address.ts';

/** What every kind of option has. Without `default` and without `optional` the option must be given. */
interface OptionBase {
  /** One sentence for `--help`. */
  readonly help: string;
  /** The config holds undefined when the option is not given. */
  readonly optional?: true;
}

/** Text that is not empty. `secret` keeps its value out of every output. */
export interface TextOption extends OptionBase {
  readonly kind: 'text';
  readonly default?: string;
  readonly secret?: true;
}

/** `integer` is a safe integer, `number` any finite decimal number. The range is inclusive. */
export interface NumberOption extends OptionBase {
  readonly kind: 'integer' | 'number';
  readonly default?: number;
  readonly min?: number;
  readonly max?: number;
}

/** `duration` becomes milliseconds, `bytes` bytes; in the spec either the text (`5s`) or the number itself. */
export interface QuantityOption extends OptionBase {
  readonly kind: 'duration' | 'bytes';
  readonly default?: string | number;
  readonly min?: string | number;
  readonly max?: string | number;
}

/** On or off; off unless given, or on unless `--no-name` is given. */
export interface FlagOption {
  readonly kind: 'flag';
  readonly default?: boolean;
  readonly help: string;
}

/** A `host:port`. */
export interface AddressOption extends OptionBase {
  readonly kind: 'address';
  readonly default?: string;
}

/** One of a few words. */
export interface ChoiceOption extends OptionBase {
  readonly kind: 'choice';
  readonly choices: readonly string[];
  readonly default?: string;
}

/** Texts or addresses separated by commas; the flag may be repeated. A default of '' is the empty list. */
export interface ListOption extends OptionBase {
  readonly kind: 'list';
  readonly items?: 'text' | 'address';
  readonly default?: string;
}

export type ConfigOption =
  TextOption | NumberOption | QuantityOption | FlagOption | AddressOption | ChoiceOption | ListOption;

/** Options by their kebab-case name. */
export type ConfigSpec = Readonly<Record<string, ConfigOption>>;

type CamelCase<Name extends string> = Name extends `${infer Head}-${infer Tail}`
  ? `${Head}${Capitalize<CamelCase<Tail>>}`
  : Name;

type GivenValue<Option> = Option extends { kind: 'text' }
  ? string
  : Option extends { kind: 'integer' | 'number' | 'duration' | 'bytes' }
    ? number
    : Option extends { kind: 'flag' }
      ? boolean
      : Option extends { kind: 'address' }
        ? Address
        : Option extends { kind: 'choice'; choices: readonly (infer Choice)[] }
          ? Choice
          : Option extends { kind: 'list'; items: 'address' }
            ? readonly Address[]
            : Option extends { kind: 'list' }
              ? readonly string[]
              : never;

type OptionValue<Option> = Option extends { optional: true } ? GivenValue<Option> | undefined : GivenValue<Option>;

/** The parsed config of a spec: camelCase names, durations in milliseconds, sizes in bytes. */
export type ConfigOf<Spec extends ConfigSpec> = {
  readonly [Name in keyof Spec & string as CamelCase<Name>]: OptionValue<Spec[Name]>;
};

/** Options that every program has by itself. */
export const BUILT_IN_OPTIONS = ['config', 'print-config', 'version', 'help'] as const;

/** The default as it would be written on the command line; undefined without one. Numbers of quantities are exact. */
export function defaultText(option: ConfigOption): string | undefined {
  if (option.kind === 'flag') return String(option.default ?? false);
  if (option.default === undefined) return undefined;
  if (typeof option.default === 'string') return option.default;
  if (option.kind === 'duration') return `${option.default}ms`;
  if (option.kind === 'bytes') return `${option.default}B`;
  return String(option.default);
}

/** `fetch-wait-max` as `fetchWaitMax`, its name in the parsed config. */
export function camelCase(name: string): string {
  return name.replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/** `fetch-wait-max` as `PARTITA_FETCH_WAIT_MAX`. */
export function environmentName(name: string): string {
  return `PARTITA_${name.replaceAll('-', '_').toUpperCase()}`;
}
