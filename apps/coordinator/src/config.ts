/** What a coordinator can be told. */
import { isUuid } from '@partita/domain';
import {
  defineConfig,
  LOG_LEVELS,
  METRICS_OPTIONS,
  metricsListenFault,
  parseConfig,
  plaintextListenFault,
  PRODUCT_VERSION,
} from '@partita/runtime';
import type { ConfigOf, ConfigResult, Environment } from '@partita/runtime';

export const EMBEDDED_STORE = 'embedded';

const SPEC = defineConfig({
  listen: { kind: 'address', default: '127.0.0.1:7200', help: 'Where clients connect: topics, routes, the cluster.' },
  'peer-listen': {
    kind: 'address',
    default: '127.0.0.1:7250',
    help: 'Where brokers, gateways and consumer-group instances connect.',
  },
  advertise: { kind: 'address', optional: true, help: 'Public address told to others; default: the one listened on.' },
  'peer-advertise': {
    kind: 'address',
    optional: true,
    help: 'Peer address told to others; default: the one listened on.',
  },
  'cluster-id': {
    kind: 'text',
    help: 'Id of the cluster, a lower-case UUID, made once and the same for all its services.',
  },
  'cluster-name': {
    kind: 'text',
    default: 'default',
    help: 'Name of the cluster in the keys of Redis: partita:{NAME}:…',
  },
  'redis-url': {
    kind: 'text',
    secret: true,
    default: EMBEDDED_STORE,
    help: 'redis://… or rediss://…, or "embedded": in memory, for the only coordinator of a cluster.',
  },
  'expected-brokers': {
    kind: 'integer',
    default: 1,
    min: 0,
    help: 'Brokers that must report before an empty directory counts as rebuilt.',
  },
  'rebuild-incomplete': {
    kind: 'flag',
    help: 'Rebuild an empty directory without brokers that are only known by hearsay. Their topics come back with them.',
  },
  'replace-after': {
    kind: 'duration',
    default: '30m',
    min: 0,
    max: '365d',
    help: 'A broker down for this long has its replicas made elsewhere while the cluster balances itself; 0 = never.',
  },
  insecure: { kind: 'flag', help: 'Allow listening beyond loopback without TLS.' },
  ...METRICS_OPTIONS,
  'log-level': { kind: 'choice', choices: LOG_LEVELS, default: 'info', help: 'Least level that is logged.' },
});

export type CoordinatorConfig = ConfigOf<typeof SPEC>;

export function readConfig(argv: readonly string[], env: Environment): ConfigResult<typeof SPEC> {
  return parseConfig(SPEC, {
    program: 'partita-coordinator',
    description: 'Keeps topics, brokers and partition ownership of a Partita cluster.',
    version: PRODUCT_VERSION,
    argv,
    env,
    check: fault,
  });
}

function fault(config: CoordinatorConfig): string | undefined {
  const { clusterId, clusterName, redisUrl, insecure, listen, peerListen } = config;
  if (!isUuid(clusterId))
    return `--cluster-id "${clusterId}" is no lower-case UUID: make one with uuidgen, once for the cluster`;
  if (!/^[A-Za-z0-9._-]{1,64}$/.test(clusterName))
    return `--cluster-name "${clusterName}" must be 1 to 64 of A-Z a-z 0-9 . _ -`;
  if (redisUrl !== EMBEDDED_STORE && !/^rediss?:\/\//.test(redisUrl))
    return '--redis-url must begin with redis:// or rediss://, or be "embedded"';
  return (
    plaintextListenFault('listen', listen, insecure) ??
    plaintextListenFault('peer-listen', peerListen, insecure) ??
    metricsListenFault(config, insecure)
  );
}
