import { describe, expect, it } from 'vitest';
import { namesTheSlowPart, parseShownTrace } from './shown-trace.ts';
import type { ShownTrace } from './shown-trace.ts';

const span = (spanId: string, name: string, durationMs: number) => ({
  ...{ spanId, name, service: 's', durationMs, ownMs: durationMs },
});
const TRACE: ShownTrace = {
  ...{ traceId: 'ab', durationMs: 50 },
  slowest: { spanId: 'f', text: 'fsync of broker-2, 30.0 ms of 50.0 ms (60 %)', ms: 30, pathMs: 50 },
  path: [
    { spanId: 'r', kind: 'before', ms: 12 },
    { spanId: 'f', kind: 'own', ms: 30 },
    { spanId: 's', kind: 'own', ms: 8 },
  ],
  spans: [span('s', 'send', 50), span('f', 'fsync', 30), span('r', 'receive', 1)],
};

describe('what the tour claims of a trace', () => {
  it('holds when the sentence names the longest span of the path', () => {
    expect(namesTheSlowPart(TRACE)).toMatchObject({
      holds: true,
      detail: 'fsync of broker-2, 30.0 ms of 50.0 ms (60 %); 3 spans',
    });
  });

  const path = (...parts: ShownTrace['path']): ShownTrace => ({ ...TRACE, path: parts });
  it.each<[string, ShownTrace, string]>([
    ['names none', { ...TRACE, slowest: undefined } as unknown as ShownTrace, 'names no span'],
    ['names another', { ...TRACE, slowest: { spanId: 's', text: 'fsync', ms: 30, pathMs: 50 } }, 'names no span'],
    [
      'is not the longest',
      path({ spanId: 'f', kind: 'own', ms: 10 }, { spanId: 's', kind: 'own', ms: 31 }),
      'send took 31.0',
    ],
    [
      'took less than it has on the path',
      path({ spanId: 'r', kind: 'own', ms: 2 }),
      'receive is on the path for longer',
    ],
    [
      'is part of too much',
      path({ spanId: 'f', kind: 'own', ms: 30 }, { spanId: 's', kind: 'before', ms: 21 }),
      '51.0 ms of 50.0',
    ],
  ])('does not when the span %s', (_, trace, why) => {
    const claim = namesTheSlowPart(trace);
    expect(claim.holds).toBe(false);
    expect(claim.detail).toContain(why);
  });

  it('is read from the JSON of the command, and from nothing else', () => {
    expect(parseShownTrace(JSON.stringify(TRACE))).toEqual(TRACE);
    expect(() => parseShownTrace('{"traceId":"ab"}')).toThrow('no trace');
  });
});
