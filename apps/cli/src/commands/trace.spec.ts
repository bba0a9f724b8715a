import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PartitaError } from '@partita/domain';
import { TraceOrder, TraceOrigin, TraceServiceService, TraceSpan, TraceSummary } from '@partita/protocol';
import type { ListTracesRequest } from '@partita/protocol';
import { createRpcServer, implement, unary } from '@partita/rpc/server';
import { createLogger } from '@partita/runtime';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runCommand } from '../program.ts';
import { recordedTerminal } from '../testing/recorded-terminal.ts';

const ID = '4bf92f3577b34da6a3ce929d0e0e4736';
const SUMMARY = TraceSummary.fromPartial({
  ...{
    traceId: ID,
    rootName: 'send hello',
    spanCount: 2,
    error: true,
    serviceNames: ['partita-cli', 'partita-broker'],
    droppedSpanCount: 7n,
  },
  startTime: { seconds: 1_000_000_000n, nanos: 5_000_000 },
  duration: { seconds: 0n, nanos: 12_300_000 },
});
const SPANS = [
  TraceSpan.fromPartial({ spanId: 'aa', name: 'send hello', serviceName: 'partita-cli', duration: SUMMARY.duration }),
  TraceSpan.fromPartial({
    ...{ spanId: 'bb', parentSpanId: 'aa', name: 'append hello', serviceName: 'partita-broker', error: 'no room' },
    attributes: [{ name: 'partition', value: '0' }],
  }),
];

const server = createRpcServer({
  ...{ name: 'console', listen: '127.0.0.1:0', limits: 'public', tracing: 'off' },
  logger: createLogger({ service: 'test', instance: '1', level: 'fatal' }),
});
let address: string;
let home: string;
let asked: ListTracesRequest[] = [];
let known = [SUMMARY];

beforeAll(async () => {
  server.addService(
    TraceServiceService,
    implement(TraceServiceService, {
      listTraces: unary((request) => {
        asked.push(request);
        return { traces: known.slice(0, request.pageSize), nextPageToken: '' };
      }),
      getTrace: unary(({ traceId }) => {
        if (ID.startsWith(traceId)) return { summary: SUMMARY, spans: SPANS };
        throw new PartitaError('TRACE_NOT_FOUND', `there is no trace ${traceId}`);
      }),
    }),
  );
  ({ address } = await server.start());
  home = mkdtempSync(join(tmpdir(), 'partita-cli-'));
  writeFileSync(join(home, 'cluster.json'), JSON.stringify({ gateway: '127.0.0.1:1', traces: address }));
});
afterAll(() => {
  server.close();
  rmSync(home, { recursive: true });
});
beforeEach(() => {
  asked = [];
  known = [SUMMARY];
});

async function trace(args: readonly string[], env: Record<string, string> = { PARTITA_HOME: home }) {
  const terminal = recordedTerminal('', env);
  const code = await runCommand(['trace', ...args], terminal);
  return { code, out: terminal.lines.join('\n'), notes: terminal.notes.join('\n') };
}

describe('partita trace list', () => {
  it('prints a trace a line, of the console that the ready file names', async () => {
    const { code, out } = await trace(['list']);
    expect(code).toBe(0);
    expect(out).toMatch(/^TRACE\s+START\s+DURATION\s+SPANS\s+ERROR\s+ROOT\s+SERVICES\n/);
    expect(out).toMatch(
      /4bf92f3577b3\s+2001-09-09T01:46:40.005Z\s+12.3 ms\s+2\+7\s+error\s+send hello\s+partita-cli, partita/,
    );
  });

  it('asks for what its options say', async () => {
    await trace(['list', '--service', 'partita-broker', '--min-duration', '1500ms', '--errors', '--max', '7']);
    const none = {
      ...{ topic: '', begunFrom: undefined, begunBefore: undefined, order: TraceOrder.TRACE_ORDER_NEWEST },
      origin: TraceOrigin.TRACE_ORIGIN_CLIENT,
    };
    expect(asked).toEqual([
      {
        ...{ ...none, pageSize: 7, pageToken: '', serviceName: 'partita-broker', errorsOnly: true },
        minDuration: { seconds: 1n, nanos: 500_000_000 },
      },
    ]);
    asked = [];
    await trace([
      'list',
      '--operations',
      '--topic',
      'hello',
      '--since',
      '2001-02-03',
      '--until',
      '2001-02-04T01:00Z',
      '--slowest',
    ]);
    expect(asked).toMatchObject([
      {
        ...{ topic: 'hello', order: TraceOrder.TRACE_ORDER_SLOWEST, serviceName: '', errorsOnly: false },
        origin: TraceOrigin.TRACE_ORIGIN_OPERATION,
        begunFrom: { seconds: BigInt(Date.UTC(2001, 1, 3) / 1000), nanos: 0 },
        begunBefore: { seconds: BigInt(Date.UTC(2001, 1, 4, 1) / 1000), nanos: 0 },
      },
    ]);
  });

  it('prints JSON, one object a line', async () => {
    const { out } = await trace(['list', '--json', '--traces', address], {});
    expect(JSON.parse(out)).toEqual({
      ...{ traceId: ID, rootName: 'send hello', start: '2001-09-09T01:46:40.005Z', durationMs: 12.3, spanCount: 2 },
      ...{ droppedSpanCount: 7, services: ['partita-cli', 'partita-broker'], error: true },
    });
  });

  it('says how to begin one when there is none', async () => {
    known = [];
    const { code, out, notes } = await trace(['list']);
    expect([code, out]).toEqual([0, '']);
    expect(notes).toContain('produce --trace');
  });

  it('ends with 3 when nothing keeps traces', async () => {
    expect(await trace(['list', '--home', join(home, 'none')])).toMatchObject({ code: 3 });
    expect(await trace(['list'], { PARTITA_TRACES: '127.0.0.1:1' })).toMatchObject({ code: 3 });
    expect(await trace(['list', '--traces', 'nonsense'])).toMatchObject({ code: 2 });
  });
});

describe('partita trace show', () => {
  it('draws the trace that an id, its beginning or --last names', async () => {
    for (const args of [[ID], ['4bf9'], ['--last'], ['--slowest']]) {
      const { code, out } = await trace(['show', ...args]);
      expect(code).toBe(0);
      expect(out).toContain(
        `trace ${ID}\nsend hello, 2001-09-09T01:46:40.005Z, 12.3 ms: 2 spans, 2 services, 1 failed, 7 more left out`,
      );
      expect(out).toMatch(/partita-cli\s+send hello\s+12.3 ms\s+12.3 ms\s+█+ «/);
      expect(out).toMatch(/partita-broker\s+append hello/);
      expect(out).toContain('! no room');
      expect(out).not.toContain('partition = 0');
      expect(out).toMatch(/\n\nSlowest: send hello of partita-cli, 12.3 ms of 12.3 ms \(100 %\)$/);
    }
    expect(asked.map(({ order }) => order)).toEqual([TraceOrder.TRACE_ORDER_NEWEST, TraceOrder.TRACE_ORDER_SLOWEST]);
    expect((await trace(['show', ID, '--attributes'])).out).toContain('partition = 0');
  });

  it('prints JSON with depth, own time and attributes', async () => {
    const { out } = await trace(['show', '--last', '--json']);
    const { spans, slowest, path } = JSON.parse(out) as { spans: unknown[]; slowest: unknown; path: unknown };
    expect(path).toEqual([{ spanId: 'aa', kind: 'own', ms: 12.3 }]);
    expect(slowest).toEqual({
      ...{
        text: 'send hello of partita-cli, 12.3 ms of 12.3 ms (100 %)',
        spanId: 'aa',
        name: 'send hello',
      },
      ...{ service: 'partita-cli', who: 'partita-cli', ms: 12.3, pathMs: 12.3, share: 1 },
    });
    expect(spans).toMatchObject([
      { name: 'send hello', depth: 0, durationMs: 12.3 },
      { name: 'append hello', depth: 1, error: 'no room', attributes: { partition: '0' } },
    ]);
  });

  it('ends with 4 for a trace that is not there, and for --last of none', async () => {
    expect(await trace(['show', 'ffff'])).toMatchObject({ code: 4 });
    known = [];
    expect(await trace(['show', '--last'])).toMatchObject({ code: 4 });
  });

  it.each([[[]], [[ID, '--last']], [[ID, '--slowest']], [['--last', '--slowest']], [['xyz']]])(
    'refuses %j as usage',
    async (args) => {
      expect(await trace(['show', ...args])).toMatchObject({ code: 2 });
    },
  );
});
