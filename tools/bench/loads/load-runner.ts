/** Runs jobs in a load's process. */
import type { Job, Sample } from '../sample.ts';

export interface LoadRunner {
  run(job: Job): Promise<Sample>;
}

/** What a load's process is for; its first and only argument, as JSON. */
export type LoadTarget =
  | { readonly kind: 'partita'; readonly servers: readonly string[] }
  | { readonly kind: 'raw'; readonly relay?: string; readonly sinks: readonly string[] }
  | { readonly kind: 'telemetry'; readonly servers: readonly string[] }
  | { readonly kind: 'storage'; readonly directory: string };

/** What a load's process answers to a job. */
export type LoadAnswer = { readonly sample: Sample } | { readonly error: string };
