import {
  createLogger,
  letHeapGrow,
  parseConfig,
  PRODUCT_VERSION,
  reloadLogLevel,
  runProcess,
  startTelemetry,
} from '@partita/runtime';
import { startBroker } from './broker.ts';
import { BROKER_CONFIG, brokerConfigFault } from './config.ts';

/** Threads of libuv that a broker needs: 32 syncs at once, or four slow ones would stop every read. */
const THREAD_COUNT_MIN = 32;

const readConfig = () =>
  parseConfig(BROKER_CONFIG, {
    argv: process.argv.slice(2),
    env: process.env,
    // Of the suites and the CLI, which start brokers.
    ignoreEnv: ['PARTITA_TEST_*', 'PARTITA_SERVER'],
    program: 'partita-broker',
    description: 'Stores replicas of partitions; serves the partitions that it leads.',
    version: PRODUCT_VERSION,
    check: brokerConfigFault,
  });
const parsed = readConfig();
if (parsed.kind === 'exit') {
  process.stdout.write(parsed.stdout ?? '');
  process.stderr.write(parsed.stderr ?? '');
  process.exit(parsed.code);
}
const { config } = parsed;
letHeapGrow();
const service = 'broker';
const instance = String(config.id);
const logger = createLogger({ service, instance, level: config.logLevel });
if (Number(process.env['UV_THREADPOOL_SIZE'] ?? 0) < THREAD_COUNT_MIN) {
  logger.warn(
    `start the broker with UV_THREADPOOL_SIZE=${THREAD_COUNT_MIN}: with fewer threads slow syncs delay reads`,
  );
}
const telemetry = await startTelemetry({
  service,
  version: PRODUCT_VERSION,
  instance,
  env: process.env,
  logger,
  metrics: config,
});
await runProcess({
  name: service,
  logger,
  telemetry,
  stopWhenParentGone: true,
  reload: () => reloadLogLevel(logger, readConfig()),
  start: (context) =>
    startBroker({
      config,
      logger,
      tracing: telemetry.tracing,
      metrics: telemetry.metrics,
      fail: (error) => context.fail(error),
    }),
});
