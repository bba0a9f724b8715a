/**
 * The tour's own traces: one in so many of the records that it sends begins one, where the cluster has a console that keeps
 * them. The processes of group members do not trace: loading OpenTelemetry would be a part of the times that they show.
 */
import { createLogger, PRODUCT_VERSION, startTelemetry } from '@partita/runtime';

/** A trace for so many records: too few to be felt, enough that some of them wait for a leader that died. */
export const RECORDS_PER_TRACE = 100;

export interface TourTracing {
  /** `host:port` of the console. */
  readonly traces: string;
  /** Sends what is left of the spans; further ones are not made. */
  readonly stop: () => Promise<void>;
}

/** Before the client is made that traces. Undefined when the environment wants no spans, or wants them elsewhere. */
export async function startTracing(
  traces: string | undefined,
  env: NodeJS.ProcessEnv,
): Promise<TourTracing | undefined> {
  if (traces === undefined) return undefined;
  const instance = String(process.pid);
  const telemetry = await startTelemetry({
    ...{ service: 'tour', version: PRODUCT_VERSION, instance, env },
    records: { endpoint: `http://${traces}`, roots: RECORDS_PER_TRACE },
    logger: createLogger({
      service: 'tour',
      instance,
      level: 'warn',
      output: { write: (line) => process.stderr.write(line) },
    }),
  });
  return telemetry.tracing === 'off' ? undefined : { traces, stop: () => telemetry.shutdown() };
}
