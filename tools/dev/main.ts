/** `npm start`: a real cluster on this machine, in the foreground. */
import { resolve } from 'node:path';
import { defineConfig, LOG_LEVELS, parseConfig, PRODUCT_VERSION } from '@partita/runtime';
import type { ReadyFile } from './ready-file.ts';
import { LocalCluster } from './cluster.ts';
import { JoinedBroker } from './joined-broker.ts';
import { placeAdvertised } from './placement.ts';
import { REDIS_SOURCES } from './redis.ts';

const SPEC = defineConfig({
  home: { kind: 'text', default: '.partita', help: 'directory for data, logs and cluster.json' },
  join: {
    kind: 'integer',
    optional: true,
    min: 1,
    max: 2 ** 31 - 1,
    help: 'instead of a cluster: one more broker, with this id, for the one that runs in the same home',
  },
  brokers: { kind: 'integer', default: 3, min: 1, max: 16, help: 'number of brokers' },
  coordinators: { kind: 'integer', default: 1, min: 1, max: 5, help: 'number of coordinators; several need a Redis' },
  gateways: { kind: 'integer', default: 1, min: 1, max: 5, help: 'number of producer-gateways' },
  'consumer-groups': { kind: 'integer', default: 1, min: 1, max: 5, help: 'number of consumer-group instances' },
  redis: {
    kind: 'choice',
    choices: REDIS_SOURCES,
    optional: true,
    help: 'where Redis comes from; default: REDIS_URL, the PATH, the unpacked package, embedded: the first that can be had',
  },
  fresh: { kind: 'flag', help: 'removes the data of earlier starts first' },
  restart: { kind: 'flag', default: true, help: 'starts processes again that die' },
  'restart-wait-max': {
    kind: 'duration',
    default: '30s',
    min: '100ms',
    max: '10m',
    help: 'longest wait before one that dies again and again is started',
  },
  advertise: {
    kind: 'text',
    optional: true,
    help: 'addresses that clients are told in place of those listened on: gateway=host:port,broker-1=host:port',
  },
  'broker-config': { kind: 'text', optional: true, help: 'file of broker options in JSON, for all brokers' },
  traces: {
    kind: 'flag',
    default: true,
    help: 'keeps traces that clients begin for `partita trace`; not when OTEL_EXPORTER_OTLP_ENDPOINT takes them',
  },
  metrics: { kind: 'flag', default: true, help: 'gives each service an endpoint for Prometheus' },
  'log-level': { kind: 'choice', choices: LOG_LEVELS, default: 'info', help: 'level of the services' },
});

const parsed = parseConfig(SPEC, {
  argv: process.argv.slice(2),
  env: process.env,
  program: 'npm start --',
  description:
    'Runs a Partita cluster on this machine: Redis, coordinators, brokers, gateways and consumer-group services.',
  version: PRODUCT_VERSION,
  ignoreEnv: ['PARTITA_*'],
});
if (parsed.kind === 'exit') {
  process.stdout.write(parsed.stdout ?? '');
  process.stderr.write(parsed.stderr ?? '');
  process.exit(parsed.code);
}
if (parsed.config.join === undefined) await run(parsed.config);
else await join({ ...parsed.config, join: parsed.config.join });

type Config = Extract<typeof parsed, { kind: 'run' }>['config'];

async function join(config: Config & { readonly join: number }): Promise<void> {
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  const starting = new AbortController();
  let broker: JoinedBroker | undefined;
  let signals = 0;
  const stop = (signal: string): void => {
    signals += 1;
    if (signals > 1) {
      broker?.kill();
      process.exit(1);
    }
    say(`\n${signal}: stopping broker ${config.join}; its data stays. Again to end at once.`);
    if (broker === undefined) starting.abort();
    else void broker.stop().then(() => process.exit(0));
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop(signal));
  try {
    broker = await JoinedBroker.start({
      home: resolve(config.home),
      brokerId: config.join,
      restart: config.restart,
      restartWaitMsMax: config.restartWaitMax,
      logLevel: config.logLevel,
      brokerConfig: config.brokerConfig === undefined ? undefined : resolve(config.brokerConfig),
      metrics: config.metrics,
      log: say,
      signal: starting.signal,
    });
  } catch (error) {
    say(`The broker did not start: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(starting.signal.aborted ? 130 : 1);
  }
  process.stdout.write(joinedText(broker.plan.id, broker.plan.address, config.home));
}

function joinedText(id: number, address: string, home: string): string {
  return `
Broker ${id} has joined, on ${address}; logs: ${home}/logs/broker-${id}.log

It takes its share of replicas and leaders by itself. Next, in another terminal:
    npx partita broker list
    npx partita cluster rebalance --dry-run
    npx partita broker drain ${id}

Ctrl-C stops this broker; its data stays.
`;
}

async function run(config: Config): Promise<void> {
  const home = resolve(config.home);
  const startedMs = performance.now();
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  say(`Starting Partita ${PRODUCT_VERSION} in ${config.home} …`);
  const starting = new AbortController();
  let cluster: LocalCluster | undefined;
  let signals = 0;
  const stop = (signal: string): void => {
    signals += 1;
    if (signals > 1) {
      cluster?.kill();
      process.exit(1);
    }
    say(`\n${signal}: stopping; the data stays. Again to end at once.`);
    if (cluster === undefined) starting.abort();
    else void cluster.stop().then(() => process.exit(0));
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop(signal));
  try {
    cluster = await LocalCluster.start({
      home,
      brokerCount: config.brokers,
      coordinatorCount: config.coordinators,
      gatewayCount: config.gateways,
      consumerGroupCount: config.consumerGroups,
      redisSource: config.redis,
      redisUrl: process.env['REDIS_URL'],
      fresh: config.fresh,
      restart: config.restart,
      restartWaitMsMax: config.restartWaitMax,
      logLevel: config.logLevel,
      brokerConfig: config.brokerConfig === undefined ? undefined : resolve(config.brokerConfig),
      traces: config.traces && !exportsElsewhere(process.env),
      metrics: config.metrics,
      ...(config.advertise === undefined ? {} : { place: placeAdvertised(config.advertise) }),
      log: say,
      signal: starting.signal,
    });
  } catch (error) {
    if (starting.signal.aborted) process.exit(130);
    say(`The cluster did not start: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(1);
  }
  process.stdout.write(
    welcome(cluster.describe(), cluster.redisKind, config.home, (performance.now() - startedMs) / 1000),
  );
}

/** The user's own collector takes the spans, or nothing makes any. */
function exportsElsewhere(env: NodeJS.ProcessEnv): boolean {
  const endpoint = env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'] || env['OTEL_EXPORTER_OTLP_ENDPOINT'];
  return Boolean(endpoint) || env['OTEL_SDK_DISABLED']?.trim().toLowerCase() === 'true';
}

function welcome(cluster: ReadyFile, redisKind: string, home: string, seconds: number): string {
  const brokers = cluster.brokers.map((broker) => `    broker ${broker.id}       ${broker.address}`);
  const coordinators = cluster.coordinators.map((address) => `    coordinator    ${address}`);
  const gateways = cluster.gateways.map((address) => `    gateway        ${address}`);
  const groups = cluster.consumerGroups.map((address) => `    consumer-group ${address}`);
  return `
Ready after ${seconds.toFixed(1)} s.

${[...gateways, ...groups, ...coordinators, ...brokers].join('\n')}
${cluster.traces === undefined ? '' : `    traces         ${cluster.traces}\n`}    redis          ${cluster.redis} (${redisKind})
${cluster.metrics === undefined ? '' : `    metrics        ${Object.keys(cluster.metrics).length} endpoints in ${home}/prometheus-targets.json\n`}    logs           ${home}/logs

Next, in another terminal:
    npx partita topic create hello --partitions 3
    echo '{"key": "ann", "value": "hi"}' | npx partita produce hello
    npx partita consume hello --max 1
    npx partita cluster describe
    npm run tour

Ctrl-C stops everything; the data stays.
`;
}
