/** The console as a process. */
import { randomUUID } from 'node:crypto';
import { PartitaError } from '@partita/domain';
import {
  createLogger,
  EXIT_CODES,
  ExitError,
  metricsListenFault,
  parseConfig,
  PRODUCT_VERSION,
  reloadLogLevel,
  runProcess,
  startTelemetry,
} from '@partita/runtime';
import { CONSOLE_CONFIG } from './config.ts';
import { startConsole } from './console.ts';

const readConfig = () =>
  parseConfig(CONSOLE_CONFIG, {
    program: 'partita-console',
    description: 'Keeps the newest traces: takes spans over OTLP and gives them to the command line.',
    version: PRODUCT_VERSION,
    argv: process.argv.slice(2),
    env: process.env,
    check: (config) => metricsListenFault(config, config.insecure),
  });
const parsed = readConfig();
if (parsed.kind === 'exit') {
  process.stdout.write(parsed.stdout ?? '');
  process.stderr.write(parsed.stderr ?? '');
  process.exit(parsed.code);
}
const { config } = parsed;
const service = 'console';
const instance = randomUUID();
const logger = createLogger({ service, instance, level: config.logLevel });
if (config.insecure) logger.warn('listening without TLS: whoever reaches the port can read and add traces');

// What shows traces makes none: each export would be a trace of its own.
const telemetry = await startTelemetry({
  service,
  version: PRODUCT_VERSION,
  instance,
  env: process.env,
  logger,
  traces: false,
  metrics: config,
});

await runProcess({
  name: service,
  logger,
  telemetry,
  stopWhenParentGone: process.send !== undefined,
  reload: () => reloadLogLevel(logger, readConfig()),
  async start() {
    try {
      return await startConsole({ config, logger, metrics: telemetry.metrics });
    } catch (error) {
      if (!(error instanceof PartitaError) || error.reason !== 'INVALID_SETTING') throw error;
      throw new ExitError(EXIT_CODES.configuration, error.message, { cause: error });
    }
  },
});
