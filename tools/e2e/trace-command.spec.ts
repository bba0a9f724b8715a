/** Traces without other software: begun, shown and kept by what `npm start` and the command line bring. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { outputOf, partita, run } from './command.ts';
import type { CommandResult } from './command.ts';
import { startCluster } from './harness.ts';
import type { Cluster } from './harness.ts';
import { until } from './until.ts';

const TOPIC = 'looked-at';
let cluster: Cluster;
let traceId: string;

interface ShownTrace {
  readonly traceId: string;
  readonly services: readonly string[];
  readonly spans: readonly { readonly spanId: string; readonly parentSpanId: string; readonly name: string }[];
}

beforeAll(async () => {
  cluster = await startCluster({ brokers: 1, traces: true });
  await outputOf(cli(['topic', 'create', TOPIC, '--partitions', '1']));
});
afterAll(() => cluster.dispose());

function cli(args: readonly string[], input = ''): Promise<CommandResult> {
  return partita(['--home', cluster.home, ...args], { input });
}

async function shown(...which: readonly string[]): Promise<ShownTrace> {
  return JSON.parse(await outputOf(cli(['trace', 'show', ...which, '--json']))) as ShownTrace;
}

const traceCount = async (): Promise<number> =>
  (await outputOf(cli(['trace', 'list', '--json']))).split('\n').filter((line) => line !== '').length;

describe('a record produced and consumed with --trace', () => {
  it('is one connected trace across command line, gateway, broker and consumer-group', async () => {
    const produced = await cli(['produce', TOPIC, '--trace'], '{"key": "ann", "value": "seen"}\n');
    expect(produced.code).toBe(0);
    traceId = /^trace ([0-9a-f]{32})$/m.exec(produced.stderr)?.[1] ?? 'none printed';
    const consumed = await cli(['consume', TOPIC, '--group', 'lookers', '--max', '1', '--trace']);
    expect(consumed.code).toBe(0);
    expect(consumed.stderr).toContain(`trace ${traceId}`);

    const trace = await until('the spans of every service', 10, async () => {
      const now = await shown('--last');
      if (now.services.length < 4) throw new Error(`only of ${now.services.join(', ')}`);
      return now;
    });
    expect(trace.traceId).toBe(traceId);
    expect([...trace.services].sort()).toEqual([
      'partita-broker',
      'partita-cli',
      'partita-consumer-group',
      'partita-producer-gateway',
    ]);
    const ids = new Set(trace.spans.map(({ spanId }) => spanId));
    const roots = trace.spans.filter(({ parentSpanId }) => !ids.has(parentSpanId));
    expect(roots).toMatchObject([{ name: `produce ${TOPIC}`, parentSpanId: '' }]);
    const names = trace.spans.map(({ name }) => name);
    for (const step of ['send', 'publish', 'append', 'receive', 'process']) expect(names).toContain(`${step} ${TOPIC}`);
  });

  it('is drawn as a waterfall, without colours where there is no screen', async () => {
    const drawn = await outputOf(cli(['trace', 'show', traceId.slice(0, 8)]));
    expect(drawn).toMatch(/partita-cli +produce looked-at +[\d.]+ (µs|ms|s) +[\d.]+ (µs|ms|s) +█/);
    expect(drawn).toMatch(/partita-broker +append looked-at/);
    expect(drawn).toContain('«');
    expect(drawn).not.toContain('\u001B');
  });

  it('is listed, and traces that do not fit are not', async () => {
    expect(await outputOf(cli(['trace', 'list']))).toContain(traceId.slice(0, 12));
    expect(await outputOf(cli(['trace', 'list', '--service', 'partita-broker']))).toContain(traceId.slice(0, 12));
    expect(await outputOf(cli(['trace', 'list', '--errors']))).toBe('');
    expect(await outputOf(cli(['trace', 'list', '--min-duration', '1h']))).toBe('');
  });

  it('is the only trace there is: what nobody traces makes none', async () => {
    await outputOf(cli(['produce', TOPIC], '{"value": "unseen"}\n'));
    await outputOf(cli(['produce', TOPIC, '--delivery', 'records'], '{"value": "unseen"}\n'));
    // Exported after what came before it: when its spans are here, theirs would be.
    const { stderr } = await cli(['produce', TOPIC, '--trace'], '{"value": "seen too"}\n');
    const second = /^trace ([0-9a-f]{32})$/m.exec(stderr)?.[1] ?? 'none printed';
    await until('the broker’s span of the second trace', 10, async () =>
      (await shown(second)).services.includes('partita-broker'),
    );
    expect(await traceCount()).toBe(2);
  });

  it('is not needed: any client that sends a traceparent is followed', async () => {
    const foreign = '4bf92f3577b34da6a3ce929d0e0e4736';
    const url = `http://${cluster.addresses.gateway}/partita.v1.ProducerService/Produce`;
    const data = JSON.stringify({ topic: TOPIC, records: [{ value: 'aGk=' }] });
    const header = `traceparent: 00-${foreign}-00f067aa0ba902b7-01`;
    await outputOf(
      run('buf', ['curl', '--protocol', 'grpc', '--http2-prior-knowledge', '-H', header, '-d', data, url]),
    );
    const trace = await until('the spans of the foreign trace', 10, async () => {
      const { code, stdout } = await cli(['trace', 'show', foreign, '--json']);
      return code === 0 && stdout.includes('append ') ? (JSON.parse(stdout) as ShownTrace) : undefined;
    });
    expect([...trace.services].sort()).toEqual(['partita-broker', 'partita-producer-gateway']);
  });

  it('leads to exit code 4 when its id is wrong', async () => {
    const { code, stderr } = await cli(['trace', 'show', 'f'.repeat(32)]);
    expect(code).toBe(4);
    expect(stderr).toContain('TRACE_NOT_FOUND');
  });

  it('is still there when the console was killed and is back', async () => {
    const before = await shown(traceId);
    const [pid = 0] = cluster.file.pids.console ?? [];
    process.kill(pid, 'SIGKILL');
    await until('the console to be back', 10, () => {
      const [now] = cluster.file.pids.console ?? [];
      return now !== undefined && now !== pid;
    });
    expect(await shown(traceId)).toEqual(before);
  });
});
