/** Declaring a spec: the check that fails every start and every test when an option is declared wrongly. */
import { invariant } from '@partita/domain';
import { BUILT_IN_OPTIONS, defaultText } from './config-spec.ts';
import type { ConfigOption, ConfigSpec } from './config-spec.ts';
import { parseOptionText } from './config-value.ts';

const OPTION_NAME = /^(?!no-)[a-z][a-z0-9]*(-[a-z0-9]+)*$/;

/** Checks names and defaults of a spec (InvariantError) and returns it unchanged, with its exact type. */
export function defineConfig<const Spec extends ConfigSpec>(spec: Spec): Spec {
  for (const [name, option] of Object.entries<ConfigOption>(spec)) {
    invariant(OPTION_NAME.test(name), `option name "${name}" must be kebab-case and not begin with "no-"`);
    invariant(!(BUILT_IN_OPTIONS as readonly string[]).includes(name), `option "${name}" is built in`);
    if (option.kind === 'flag' || option.default === undefined) continue;
    invariant(option.optional === undefined, `option "${name}" has a default and is optional: choose one`);
    const parsed = parseOptionText(option, defaultText(option) ?? '');
    invariant(parsed.ok, `the default of option "${name}" is invalid: ${parsed.ok ? '' : parsed.fault}`);
  }
  return spec;
}
