/**
 * Shutdown as a written sequence. Each step is done once and in this order:
 * 1. health says NOT_SERVING, to checks and watchers, and their streams end;
 * 2. new calls are refused with SHUTTING_DOWN, and `context.draining` is aborted: long polls and streams that watch it
 *    end themselves;
 * 3. connections are told to go (GOAWAY) and close when their last call is answered;
 * 4. after the grace the rest is cut.
 */
import type { Server } from '@grpc/grpc-js';
import type { ConnectionGuard } from './connection-guard.ts';
import type { Health } from './health.ts';
import type { ServerCore } from './server-core.ts';

export interface DrainParts {
  readonly server: Server;
  readonly core: ServerCore;
  readonly health: Health;
  readonly guard: ConnectionGuard;
}

/** Resolves when nothing is left. */
export async function drainServer(parts: DrainParts, graceMs: number): Promise<void> {
  parts.health.setServing(false);
  parts.health.endWatches();
  parts.core.beginDraining();
  const quiet = await settledWithin(graceMs, (done) => parts.server.tryShutdown(done));
  if (!quiet)
    parts.core.logger.warn({ grace_ms: graceMs }, `${parts.core.name}: calls were cut at the end of the grace`);
  cut(parts);
}

/** Ends everything at once. */
export function cut(parts: DrainParts): void {
  parts.core.beginDraining();
  parts.server.forceShutdown();
  parts.guard.close();
}

/** True when `work` called back within `limitMs`. */
function settledWithin(limitMs: number, work: (done: () => void) => void): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), limitMs);
    work(() => {
      clearTimeout(timer);
      resolve(true);
    });
  });
}
