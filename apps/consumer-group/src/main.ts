/** The consumer-group service as a process. */
import {
  createLogger,
  letHeapGrow,
  PRODUCT_VERSION,
  reloadLogLevel,
  runProcess,
  startTelemetry,
  systemRandom,
} from '@partita/runtime';
import type { LogLevel } from '@partita/runtime';
import { parseConsumerGroupConfig } from './config.ts';
import { startConsumerGroup } from './consumer-group.ts';

const readConfig = () => parseConsumerGroupConfig(process.argv.slice(2), process.env);
const result = readConfig();
if (result.kind === 'exit') {
  process.stdout.write(result.stdout ?? '');
  process.stderr.write(result.stderr ?? '');
  process.exit(result.code);
}

const { config } = result;
letHeapGrow();
const instanceId = systemRandom.uuid();
const logger = createLogger({
  service: 'consumer-group',
  instance: instanceId,
  level: config.logLevel satisfies LogLevel,
});
const telemetry = await startTelemetry({
  service: 'consumer-group',
  version: PRODUCT_VERSION,
  instance: instanceId,
  env: process.env,
  logger,
  metrics: config,
});

await runProcess({
  name: 'consumer-group',
  logger,
  telemetry,
  stopWhenParentGone: true,
  reload: () => reloadLogLevel(logger, readConfig()),
  start: (context) =>
    startConsumerGroup({
      config,
      instanceId,
      logger,
      tracing: telemetry.tracing,
      metrics: telemetry.metrics,
      fail: (error) => context.fail(error),
    }),
});
