import {
  createLogger,
  letHeapGrow,
  metricsListenFault,
  parseConfig,
  plaintextListenFault,
  PRODUCT_VERSION,
  reloadLogLevel,
  runProcess,
  startTelemetry,
  systemRandom,
} from '@partita/runtime';
import { GATEWAY_CONFIG } from './config.ts';
import { startGateway } from './gateway.ts';

const readConfig = () =>
  parseConfig(GATEWAY_CONFIG, {
    argv: process.argv.slice(2),
    env: process.env,
    program: 'partita-producer-gateway',
    description: 'Takes records from clients, chooses partitions, builds batches and appends them through the leaders.',
    version: PRODUCT_VERSION,
    check: (config) =>
      plaintextListenFault('listen', config.listen, config.insecure) ?? metricsListenFault(config, config.insecure),
  });
const parsed = readConfig();
if (parsed.kind === 'exit') {
  process.stdout.write(parsed.stdout ?? '');
  process.stderr.write(parsed.stderr ?? '');
  process.exit(parsed.code);
}
const { config } = parsed;
letHeapGrow();
const instanceId = systemRandom.uuid();
const service = 'producer-gateway';
const logger = createLogger({ service, instance: instanceId, level: config.logLevel });
const telemetry = await startTelemetry({
  service,
  version: PRODUCT_VERSION,
  instance: instanceId,
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
    startGateway({
      config,
      logger,
      tracing: telemetry.tracing,
      metrics: telemetry.metrics,
      instanceId,
      fail: (error) => context.fail(error),
    }),
});
