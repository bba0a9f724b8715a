/** Where the files are that a user takes as they are. */
import { join, resolve } from 'node:path';

export const ROOT = resolve(import.meta.dirname, '../..');
/** The folder of the dashboard, the alert rules and Prometheus' configuration. */
export const MONITORING = join(ROOT, 'docs/monitoring');
