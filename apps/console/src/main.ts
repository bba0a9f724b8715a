/** The console as a process. */
import { randomUUID } from 'node:crypto';
import { PartitaError } from '@partita/domain';
import {
  createLogger,
  EXIT_CODES,
  ExitError,
  parseConfig,
  PRODUCT_VERSION,
  reloadLogLevel,
  runProcess,
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
  });
const parsed = readConfig();
if (parsed.kind === 'exit') {
  process.stdout.write(parsed.stdout ?? '');
  process.stderr.write(parsed.stderr ?? '');
  process.exit(parsed.code);
}
const { config } = parsed;
const logger = createLogger({ service: 'console', instance: randomUUID(), level: config.logLevel });
if (config.insecure) logger.warn('listening without TLS: whoever reaches the port can read and add traces');

await runProcess({
  name: 'console',
  logger,
  stopWhenParentGone: process.send !== undefined,
  reload: () => reloadLogLevel(logger, readConfig()),
  async start() {
    try {
      return await startConsole({ config, logger });
    } catch (error) {
      if (!(error instanceof PartitaError) || error.reason !== 'INVALID_SETTING') throw error;
      throw new ExitError(EXIT_CODES.configuration, error.message, { cause: error });
    }
  },
});
