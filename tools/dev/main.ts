/** `npm start`: a real cluster on this machine, in the foreground. */
import { resolve } from 'node:path';
import { defineConfig, LOG_LEVELS, parseConfig, PRODUCT_VERSION } from '@partita/runtime';
import type { ReadyFile } from './ready-file.ts';
import { LocalCluster } from './cluster.ts';
import { REDIS_SOURCES } from './redis.ts';

const SPEC = defineConfig({
  home: { kind: 'text', default: '.partita', help: 'directory for data, logs and cluster.json' },
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
await run(parsed.config);

async function run(config: Extract<typeof parsed, { kind: 'run' }>['config']): Promise<void> {
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
