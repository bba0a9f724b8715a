import { request } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { MetricsEndpoint } from './metrics-endpoint.ts';
import type { MetricsEndpointOptions } from './metrics-endpoint.ts';

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

const errors: unknown[] = [];
let endpoint: MetricsEndpoint | undefined;
let port = 0;

async function start(options: Partial<MetricsEndpointOptions> = {}): Promise<string> {
  endpoint = new MetricsEndpoint({
    listen: { host: '127.0.0.1', port: 0 },
    hosts: [],
    render: () => Promise.resolve('up 1\n'),
    onError: (error) => errors.push(error),
    ...options,
  });
  const address = await endpoint.start();
  port = Number(address.slice(address.lastIndexOf(':') + 1));
  return address;
}

function ask(options: { path?: string; method?: string; headers?: Record<string, string> } = {}): Promise<Answer> {
  const { path = '/metrics', method = 'GET', headers = {} } = options;
  return new Promise((resolve, reject) => {
    const call = request({ host: '127.0.0.1', port, path, method, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        const body = Buffer.concat(chunks).toString('utf8');
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body });
      });
    });
    call.on('error', reject);
    call.end();
  });
}

afterEach(async () => {
  await endpoint?.close();
  endpoint = undefined;
  errors.length = 0;
});

describe('the endpoint for Prometheus', () => {
  it('answers GET /metrics in the text format, and lets no page have it', async () => {
    expect(await start()).toBe(`127.0.0.1:${port}`);
    const { status, headers, body } = await ask();
    expect([status, body]).toEqual([200, 'up 1\n']);
    expect(headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(headers['content-security-policy']).toBe("default-src 'none'");
    expect(headers['x-content-type-options']).toBe('nosniff');
    expect(Object.keys(headers).filter((name) => name.startsWith('access-control'))).toEqual([]);
  });

  it.each([
    ['another path', { path: '/' }, 404],
    ['a path below', { path: '/metrics/x' }, 404],
    ['a path that begins the same', { path: '/metricsx' }, 404],
    ['a method that writes', { method: 'POST' }, 405],
    ['a question before a request of a page', { method: 'OPTIONS' }, 405],
    ['a name that was made to point here', { headers: { host: 'evil.example' } }, 421],
    ['a name that only begins like one of ours', { headers: { host: 'localhost.evil.example' } }, 421],
    ['an address that is not ours', { headers: { host: '192.0.2.7:80' } }, 421],
    ['no host at all that can be read', { headers: { host: 'a b' } }, 421],
    ['a page of another origin', { headers: { origin: 'https://evil.example' } }, 403],
    ['a page of another site', { headers: { 'sec-fetch-site': 'cross-site' } }, 403],
  ])('refuses %s', async (_what, options, status) => {
    await start();
    const answer = await ask(options);
    expect(answer.status).toBe(status);
    expect(answer.body).not.toContain('up 1');
  });

  it.each(['localhost', 'LOCALHOST:9464', '127.0.0.1', '[::1]:80', 'metrics.internal:9464'])(
    'may be called %s',
    async (host) => {
      await start({ hosts: ['metrics.internal'] });
      expect((await ask({ headers: { host } })).status).toBe(200);
    },
  );

  it('takes a query, which Prometheus may add', async () => {
    await start();
    expect((await ask({ path: '/metrics?collect=all' })).status).toBe(200);
  });

  it('says 500 and tells its owner when collecting fails', async () => {
    await start({ render: () => Promise.reject(new Error('a bug in an observer')) });
    const { status, body } = await ask();
    expect(status).toBe(500);
    expect(body).not.toContain('a bug');
    expect(errors).toEqual([new Error('a bug in an observer')]);
  });

  it('refuses a head that is too large', async () => {
    await start();
    expect((await ask({ headers: { 'x-large': 'x'.repeat(10_000) } })).status).toBe(431);
  });

  it('says what to do when its address is taken', async () => {
    await start();
    const second = new MetricsEndpoint({
      listen: { host: '127.0.0.1', port },
      hosts: [],
      render: () => Promise.resolve(''),
      onError: () => undefined,
    });
    await expect(second.start()).rejects.toThrow(`cannot listen for metrics on 127.0.0.1:${port}`);
  });

  it('may be called by any address when it listens beyond loopback', async () => {
    await start({ listen: { host: '0.0.0.0', port: 0 } });
    expect((await ask({ headers: { host: '192.0.2.7:9464' } })).status).toBe(200);
    expect((await ask({ headers: { host: 'evil.example' } })).status).toBe(421);
  });
});
