/** SIGHUP: the level of the log, as flags, environment and config file have it now. The other options are not looked at. */
import type { LogLevel, ProcessLogger } from './logger.ts';

/** A configuration that was read again, as far as this is about it. */
type ReadAgain =
  | { readonly kind: 'run'; readonly config: { readonly logLevel: LogLevel } }
  | { readonly kind: 'exit'; readonly stderr?: string };

/** Takes the level over; one that was set while the process ran goes. Throws for a configuration that is wrong. */
export function reloadLogLevel(logger: ProcessLogger, read: ReadAgain): void {
  if (read.kind === 'exit') throw new Error((read.stderr ?? 'there is no configuration to run with').trimEnd());
  const { logLevel } = read.config;
  if (logLevel !== logger.level()) logger.changeLevel(logLevel, { source: 'configuration' });
}
