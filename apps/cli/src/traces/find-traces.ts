/**
 * Finds the console that keeps traces: `--traces`, else PARTITA_TRACES, else the ready-file of `npm start`. It is no service
 * of the cluster, so the SDK does not know it.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PartitaError } from '@partita/domain';
import { ChannelPool } from '@partita/rpc/client';
import { parseAddress } from '@partita/runtime';
import type { GlobalOptions } from '../connect.ts';
import { UsageError } from '../exit-code.ts';
import type { Terminal } from '../terminal.ts';

/** Options of every command that has to do with traces. */
export interface TraceOptions extends GlobalOptions {
  readonly traces?: string | undefined;
}

export const TRACES_FLAG = '--traces <address>';
export const TRACES_HELP =
  'host:port of the console that keeps traces (default: PARTITA_TRACES, else that of npm start)';

/** `host:port`. Throws SERVICE_UNREACHABLE when nothing names one. */
export function findTraces(options: TraceOptions, env: Terminal['env']): string {
  const named = options.traces ?? env['PARTITA_TRACES'];
  if (named !== undefined && named !== '') {
    try {
      parseAddress(named);
    } catch (error) {
      throw new UsageError(`--traces: ${error instanceof Error ? error.message : String(error)}`);
    }
    return named;
  }
  const path = join(options.home ?? (env['PARTITA_HOME'] || '.partita'), 'cluster.json');
  const address = tracesIn(path);
  if (address !== undefined) return address;
  throw new PartitaError(
    'SERVICE_UNREACHABLE',
    `nothing keeps traces: ${path} names no console; start a cluster with npm start, or name one with --traces host:port`,
    { address: path },
  );
}

/** Runs work with channels of its own. */
export async function withTraces<Result>(
  options: TraceOptions,
  terminal: Terminal,
  work: (client: ReturnType<ChannelPool['client']>) => Promise<Result>,
): Promise<Result> {
  const address = findTraces(options, terminal.env);
  const pool = new ChannelPool({ clientId: 'partita-cli', tracing: 'off' });
  try {
    return await work(pool.client(address));
  } finally {
    pool.close();
  }
}

/** The console's address in a ready-file; undefined for none, or for what is no ready-file. */
function tracesIn(path: string): string | undefined {
  try {
    const content: unknown = JSON.parse(readFileSync(path, 'utf8'));
    if (typeof content !== 'object' || content === null || !('traces' in content)) return undefined;
    return typeof content.traces === 'string' && content.traces !== '' ? content.traces : undefined;
  } catch {
    return undefined;
  }
}
