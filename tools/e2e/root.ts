/** The workspace. */
import { resolve } from 'node:path';

export const ROOT = resolve(import.meta.dirname, '../..');

/** True in the long form that `npm run prove` runs: more rounds, longer outages. */
export const LONG = process.env['PARTITA_TEST_LONG'] === 'on';
