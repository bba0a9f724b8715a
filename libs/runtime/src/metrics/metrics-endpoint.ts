/**
 * GET /metrics for Prometheus, on a small HTTP server of its own: the library's can check no Host header. A page in
 * somebody's browser must not be able to read it: requests with another host's name (a name that was made to point here),
 * and requests that say that they come from a page, are refused.
 */
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { isIP } from 'node:net';
import {
  METRICS_CONNECTION_COUNT_MAX,
  METRICS_HEADER_BYTES_MAX,
  METRICS_REQUEST_MS_MAX,
  PartitaError,
} from '@partita/domain';
import { formatAddress, isLoopbackHost, parseAddress } from '../address.ts';
import type { Address } from '../address.ts';

export interface MetricsEndpointOptions {
  readonly listen: Address;
  /** Names by which it may be called beside its address and `localhost`. */
  readonly hosts: readonly string[];
  /** The answer. A failure is told as status 500 and given to `onError`. */
  readonly render: () => Promise<string>;
  readonly onError: (error: unknown) => void;
}

const HEADERS = {
  'Content-Type': 'text/plain; version=0.0.4; charset=utf-8',
  'Cache-Control': 'no-store',
  'Content-Security-Policy': "default-src 'none'",
  'Cross-Origin-Resource-Policy': 'same-origin',
  'X-Content-Type-Options': 'nosniff',
} as const;

export class MetricsEndpoint {
  readonly #options: MetricsEndpointOptions;
  readonly #server: Server;

  constructor(options: MetricsEndpointOptions) {
    this.#options = options;
    const limits = {
      maxHeaderSize: METRICS_HEADER_BYTES_MAX,
      headersTimeout: METRICS_REQUEST_MS_MAX,
      requestTimeout: METRICS_REQUEST_MS_MAX,
    };
    this.#server = createServer(limits, (request, response) => void this.#serve(request, response));
    this.#server.maxConnections = METRICS_CONNECTION_COUNT_MAX;
  }

  /** Resolves with the address that it listens on. Rejects with INVALID_SETTING when it cannot. */
  async start(): Promise<string> {
    const { host, port } = this.#options.listen;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (error) => {
        const address = formatAddress(this.#options.listen);
        const message = `cannot listen for metrics on ${address}: ${error.message}; choose another address or stop what has it`;
        reject(new PartitaError('INVALID_SETTING', message, { value: address }, { cause: error }));
      });
      this.#server.listen({ host, port }, resolve);
    });
    const bound = this.#server.address();
    return formatAddress({ host, port: bound !== null && typeof bound === 'object' ? bound.port : port });
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // Nothing that is sent along is read.
    request.resume();
    const refusal = this.#refusal(request);
    if (refusal !== undefined) {
      const { status, reason } = refusal;
      response.writeHead(status, { ...HEADERS, ...(status === 405 ? { Allow: 'GET' } : {}) }).end(`${reason}\n`);
      return;
    }
    try {
      const text = await this.#options.render();
      response.writeHead(200, HEADERS).end(text);
    } catch (error) {
      this.#options.onError(error);
      response.writeHead(500, HEADERS).end('collecting metrics failed; the log says why\n');
    }
  }

  #refusal({
    method,
    url,
    headers,
  }: IncomingMessage): { readonly status: number; readonly reason: string } | undefined {
    if (!this.#isKnownHost(headers.host)) {
      return { status: 421, reason: 'not known by this name: call it by its address, or name it with --metrics-hosts' };
    }
    const site = headers['sec-fetch-site'];
    if (headers.origin !== undefined || (site !== undefined && site !== 'none' && site !== 'same-origin')) {
      return { status: 403, reason: 'not for pages' };
    }
    if (url?.split('?', 1)[0] !== '/metrics') return { status: 404, reason: 'there is only /metrics' };
    if (method !== 'GET') return { status: 405, reason: 'only GET' };
    return undefined;
  }

  /** An address is nobody's name, so it cannot have been made to point here; on loopback only loopback's own count. */
  #isKnownHost(header: string | undefined): boolean {
    const host = hostOf(header);
    if (host === undefined) return false;
    if (isLoopbackHost(host)) return true;
    const { listen, hosts } = this.#options;
    if (isIP(host) !== 0) return !isLoopbackHost(listen.host);
    return host === listen.host.toLowerCase() || hosts.some((known) => known.toLowerCase() === host);
  }
}

/** The host of a Host header, lower case and without brackets; undefined for what is none. */
function hostOf(header: string | undefined): string | undefined {
  if (header === undefined) return undefined;
  const withPort = /:\d+$/.test(header) ? header : `${header}:80`;
  try {
    return parseAddress(withPort).host.toLowerCase();
  } catch {
    return undefined;
  }
}
