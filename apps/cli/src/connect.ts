/**
 * Finds the cluster: `--server`, else PARTITA_SERVER, else the ready-file `cluster.json` that `npm start` keeps in its
 * home directory.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from '@partita/client';
import type { PartitaClient } from '@partita/client';
import { PartitaError } from '@partita/domain';
import { parseAddress } from '@partita/runtime';
import { UsageError } from './exit-code.ts';
import type { Terminal } from './terminal.ts';

/** Options that every command has. */
export interface GlobalOptions {
  readonly server?: string | undefined;
  readonly home?: string | undefined;
  readonly json?: boolean | undefined;
}

const HINT = 'start a cluster: npm start';

/** Addresses to ask, and where they come from. Throws SERVICE_UNREACHABLE when nothing names a cluster. */
export function findServers(options: GlobalOptions, env: Terminal['env']): { servers: string[]; source: string } {
  const named = options.server ?? env['PARTITA_SERVER'];
  if (named !== undefined && named !== '') {
    const servers = named.split(',').map((address) => address.trim());
    for (const server of servers) checkAddress(server);
    return { servers, source: options.server === undefined ? 'PARTITA_SERVER' : '--server' };
  }
  const path = join(options.home ?? (env['PARTITA_HOME'] || '.partita'), 'cluster.json');
  return { servers: readReadyFile(path), source: path };
}

/** Runs a command with a connection, and closes it. */
export async function withClient<T>(
  options: GlobalOptions,
  terminal: Terminal,
  work: (client: PartitaClient) => Promise<T>,
): Promise<T> {
  const { servers, source } = findServers(options, terminal.env);
  let client: PartitaClient;
  try {
    client = await connect({ servers, clientId: 'partita-cli', signal: terminal.interrupted });
  } catch (error) {
    if (!(error instanceof PartitaError) || error.reason !== 'SERVICE_UNREACHABLE') throw error;
    const hint = source === '--server' || source === 'PARTITA_SERVER' ? `check ${source}, or ${HINT}` : HINT;
    throw new PartitaError('SERVICE_UNREACHABLE', `${error.message}; ${hint}`, error.metadata, { cause: error });
  }
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}

function checkAddress(address: string): void {
  try {
    parseAddress(address);
  } catch (error) {
    throw new UsageError(`--server: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function readReadyFile(path: string): string[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    throw new PartitaError(
      'SERVICE_UNREACHABLE',
      `no cluster: there is no ${path}; ${HINT}, or name one with --server host:port`,
      { address: path },
    );
  }
  const found = addressesIn(text);
  if (found.length > 0) return found;
  throw new PartitaError('SERVICE_UNREACHABLE', `${path} names no address; ${HINT}`, { address: path });
}

/** Every public address that a ready-file names; nothing for what is no ready-file. */
function addressesIn(text: string): string[] {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    return [];
  }
  if (typeof content !== 'object' || content === null) return [];
  const { gateway, consumerGroup, coordinators } = content as Readonly<Record<string, unknown>>;
  const all: unknown[] = [gateway, consumerGroup, ...(Array.isArray(coordinators) ? (coordinators as unknown[]) : [])];
  return all.filter((address): address is string => typeof address === 'string' && address !== '');
}
