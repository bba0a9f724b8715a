/** The coordinator as a process. */
import { randomUUID } from 'node:crypto';
import { PartitaError } from '@partita/domain';
import { createMemoryMetadataStore, createRedisMetadataStore } from '@partita/metadata-store';
import type { MetadataStore } from '@partita/metadata-store';
import {
  createLogger,
  EXIT_CODES,
  ExitError,
  PRODUCT_VERSION,
  reloadLogLevel,
  runProcess,
  startTelemetry,
  systemClock,
  systemRandom,
} from '@partita/runtime';
import { EMBEDDED_STORE, readConfig } from './config.ts';
import type { CoordinatorConfig } from './config.ts';
import { startCoordinator } from './coordinator.ts';

const parsed = readConfig(process.argv.slice(2), process.env);
if (parsed.kind === 'exit') {
  process.stdout.write(parsed.stdout ?? '');
  process.stderr.write(parsed.stderr ?? '');
  process.exit(parsed.code);
}
const { config } = parsed;
const runId = randomUUID();
const logger = createLogger({ service: 'coordinator', instance: runId, level: config.logLevel });
if (config.insecure) logger.warn('listening without TLS: whoever reaches the ports can read and change everything');
const telemetry = await startTelemetry({
  service: 'coordinator',
  version: PRODUCT_VERSION,
  instance: runId,
  env: process.env,
  logger,
  metrics: config,
});

await runProcess({
  name: 'coordinator',
  logger,
  telemetry,
  stopWhenParentGone: process.send !== undefined,
  reload: () => reloadLogLevel(logger, readConfig(process.argv.slice(2), process.env)),
  async start(context) {
    try {
      return await startCoordinator({
        config,
        store: createStore(config),
        clock: systemClock,
        random: systemRandom,
        logger,
        runId,
        tracing: telemetry.tracing,
        metrics: telemetry.metrics,
        onWrongCluster: (error) => context.fail(exitFor(error)),
      });
    } catch (error) {
      throw exitFor(error);
    }
  },
});

function createStore({ redisUrl, clusterId, clusterName }: CoordinatorConfig): MetadataStore {
  if (redisUrl === EMBEDDED_STORE) return createMemoryMetadataStore({ clusterId, clock: systemClock });
  return createRedisMetadataStore({ url: redisUrl, cluster: clusterName, clusterId });
}

/** Faults that an operator has to repair end the process with their own code. */
function exitFor(error: unknown): unknown {
  if (!(error instanceof PartitaError)) return error;
  if (error.reason === 'WRONG_CLUSTER') return new ExitError(EXIT_CODES.refused, error.message, { cause: error });
  if (error.reason === 'INVALID_SETTING')
    return new ExitError(EXIT_CODES.configuration, error.message, { cause: error });
  return error;
}
