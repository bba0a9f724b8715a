/** The workspace. */
import { resolve } from 'node:path';

export const ROOT = resolve(import.meta.dirname, '../..');

/** True in the long form that `npm run prove` runs: more rounds, longer outages. */
export const LONG = process.env['PARTITA_TEST_LONG'] === 'on';

/** Suites whose faults under a history the gate leaves to chaos.spec.ts: those have a long form only. */
const LEFT_TO_CHAOS: readonly ('failover' | 'producers' | 'group-history')[] = ['group-history'];

/** True in the short form, for the suites that the gate leaves to nobody. */
export function faultsInGate(suite: (typeof LEFT_TO_CHAOS)[number]): boolean {
  return !LONG && !LEFT_TO_CHAOS.includes(suite);
}
