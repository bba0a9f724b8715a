/** What a service can be told about its metrics. Each service's config has these options. */
import { plaintextListenFault } from '../address.ts';
import type { ConfigOf } from '../config-spec.ts';
import { defineConfig } from '../define-config.ts';

export const METRICS_OPTIONS = defineConfig({
  'metrics-listen': {
    kind: 'address',
    optional: true,
    help: 'address where Prometheus gets /metrics; without it there is none',
  },
  'metrics-hosts': {
    kind: 'list',
    default: '',
    help: 'names by which Prometheus calls that address, if it is neither by number nor localhost',
  },
});

export type MetricsConfig = ConfigOf<typeof METRICS_OPTIONS>;

/** Why the endpoint may not listen where it was told to, or undefined when it may. */
export function metricsListenFault({ metricsListen }: MetricsConfig, insecure: boolean): string | undefined {
  return metricsListen === undefined ? undefined : plaintextListenFault('metrics-listen', metricsListen, insecure);
}
