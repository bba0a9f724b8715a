/** The wiring of a console: one listener that takes spans and shows traces. */
import { DRAIN_MS_MAX } from '@partita/domain';
import { ProcessServiceService, TraceServiceService } from '@partita/protocol';
import { createRpcServer, processMethods } from '@partita/rpc/server';
import { formatAddress } from '@partita/runtime';
import type { ConfigOf, Logger, ProcessLogger, RunningService } from '@partita/runtime';
import type { Metrics } from '@partita/telemetry';
import type { CONSOLE_CONFIG } from './config.ts';
import { decodeExportRequest } from './otlp/decode.ts';
import { exportService, OtlpTraceService } from './otlp/export-service.ts';
import { TraceFiles } from './traces/trace-files.ts';
import { traceService } from './traces/trace-service.ts';
import { TraceStore } from './traces/trace-store.ts';

export interface ConsoleOptions {
  readonly config: ConfigOf<typeof CONSOLE_CONFIG>;
  readonly logger: ProcessLogger;
  readonly metrics: Metrics;
}

/** Share of the time to drain for exports that are under way. */
const DRAIN_GRACE_MS = DRAIN_MS_MAX / 6;

/** Reads the traces of earlier starts, then serves. Rejects with INVALID_SETTING when it cannot listen. */
export async function startConsole({ config, logger, metrics }: ConsoleOptions): Promise<RunningService> {
  const store = new TraceStore();
  const files = new TraceFiles(config.tracesDir);
  restore(store, files, logger);
  observe(metrics, store);
  const server = createRpcServer({
    name: 'console',
    listen: formatAddress(config.listen),
    limits: 'public',
    logger,
    // What shows traces makes none: each export would be a trace of its own.
    tracing: 'off',
    metrics,
    insecureOk: config.insecure,
  });
  server.addService(OtlpTraceService, exportService(store, files, logger));
  server.addService(TraceServiceService, traceService(store));
  server.addService(ProcessServiceService, processMethods(logger, 'public'));
  const { address } = await server.start();
  return {
    ready: { address, tracesDir: config.tracesDir },
    drain: () => server.drain(DRAIN_GRACE_MS),
    async close() {
      server.close();
      await files.flushed();
    },
  };
}

function observe(metrics: Metrics, store: TraceStore): void {
  // Those of earlier starts were counted then.
  const restored = store.spansTaken;
  metrics.observe('partita.console.spans', (report) => {
    const { kept, leftOut } = store.spansTaken;
    report(kept - restored.kept, { outcome: 'kept' });
    report(leftOut - restored.leftOut, { outcome: 'dropped' });
  });
  metrics.observe('partita.console.traces', (report) => report(store.traceCount));
}

function restore(store: TraceStore, files: TraceFiles, logger: Logger): void {
  let damaged = 0;
  for (const request of files.stored()) {
    try {
      store.add(decodeExportRequest(request));
    } catch {
      damaged += 1;
    }
  }
  if (damaged > 0) logger.warn({ damaged }, 'left out stored spans that cannot be read');
}
