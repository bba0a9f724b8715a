/** Options of the consumer-group service. */
import {
  defineConfig,
  formatAddress,
  isLoopbackHost,
  LOG_LEVELS,
  METRICS_OPTIONS,
  metricsListenFault,
  parseConfig,
  plaintextListenFault,
  PRODUCT_VERSION,
} from '@partita/runtime';
import type { Address, ConfigOf, ConfigResult, Environment } from '@partita/runtime';

const SPEC = defineConfig({
  listen: { kind: 'address', default: '127.0.0.1:0', help: 'Public address; port 0 takes a free one.' },
  advertise: { kind: 'address', optional: true, help: 'Address that others are told; default: the one it listens on.' },
  coordinators: { kind: 'list', items: 'address', help: 'Peer addresses of the coordinators, separated by commas.' },
  'cluster-id': { kind: 'text', optional: true, help: 'Id of the cluster; default: learnt from a coordinator.' },
  insecure: { kind: 'flag', help: 'Allow a plaintext listener beyond loopback.' },
  ...METRICS_OPTIONS,
  'log-level': { kind: 'choice', choices: LOG_LEVELS, default: 'info', help: 'Lowest level that is logged.' },
});

export type ConsumerGroupConfig = ConfigOf<typeof SPEC>;

export function parseConsumerGroupConfig(argv: readonly string[], env: Environment): ConfigResult<typeof SPEC> {
  return parseConfig(SPEC, {
    program: 'partita-consumer-group',
    description: 'Consumer groups: membership, assignment, delivery and committed offsets.',
    version: PRODUCT_VERSION,
    argv,
    env,
    check: (config) =>
      config.coordinators.length === 0 ? '--coordinators is empty: name at least one' : faultOf(config),
  });
}

function faultOf(config: ConsumerGroupConfig): string | undefined {
  const { listen, advertise, insecure } = config;
  const fault = plaintextListenFault('listen', listen, insecure) ?? metricsListenFault(config, insecure);
  if (fault !== undefined) return fault;
  if (advertise !== undefined && advertise.port === 0) return `--advertise ${formatAddress(advertise)} has no port`;
  if (advertise === undefined && isWildcard(listen))
    return `--listen ${formatAddress(listen)} needs --advertise: nobody can connect to that host`;
  return undefined;
}

function isWildcard({ host }: Address): boolean {
  return !isLoopbackHost(host) && (host === '0.0.0.0' || host === '::');
}
