/** Failures of a start as exit codes. */
import { PartitaError } from '@partita/domain';
import { EXIT_CODES, ExitError, systemClock, systemRandom, systemTimers } from '@partita/runtime';
import type { Logger } from '@partita/runtime';
import type { BrokerConfig } from './config.ts';
import { openDataDirectory } from './data-directory.ts';
import type { DataDirectory } from './data-directory.ts';
import type { BrokerMetrics } from './metrics/broker-metrics.ts';

/** Opens the data directory; one that cannot be used ends the process with its own exit code. */
export async function openOrExit(config: BrokerConfig, logger: Logger, metrics: BrokerMetrics): Promise<DataDirectory> {
  try {
    return await openDataDirectory({
      dir: config.dataDir,
      clusterId: config.clusterId,
      brokerId: config.id,
      openFileCountMax: config.openFiles,
      clock: systemClock,
      timers: systemTimers,
      random: systemRandom,
      logger,
      onWritten: metrics.isOn ? metrics.written : undefined,
    });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ExitError(EXIT_CODES.dataDirectory, `data directory ${config.dataDir}: ${reason}`, { cause: error });
  }
}

/** An address that cannot be listened on is a matter of configuration. */
export function asExit(error: unknown): unknown {
  if (!(error instanceof PartitaError) || error.reason !== 'INVALID_SETTING') return error;
  return new ExitError(EXIT_CODES.configuration, error.message, { cause: error });
}
