import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { madeSpan } from '../testing/trace-spans.ts';
import type { MadeSpan } from '../testing/trace-spans.ts';
import { criticalPath } from './critical-path.ts';
import { spanTree } from './span-tree.ts';

/** Milliseconds by `name`, or by `before name`. */
function pathOf(...spans: readonly MadeSpan[]): Record<string, number> {
  const { parts } = criticalPath(spanTree(spans.map(madeSpan)));
  return Object.fromEntries(
    parts.map(({ kind, node, nanos }) => [`${kind === 'own' ? '' : 'before '}${node.span.name}`, nanos / 1e6]),
  );
}

const GATEWAY = { service: 'partita-producer-gateway' };
const BROKER = { service: 'partita-broker' };
const SEND: MadeSpan = { id: 'send', kind: 'producer', at: [0, 50] };

/** A leader's append to three replicas: 5 ms to the disk, then until the commit at 30. */
function append(replicasAcked: string, ...followers: readonly [number, number][]): MadeSpan[] {
  return [
    { id: 'append', ...BROKER, at: [0, 31] },
    { id: 'fsync', parent: 'append', ...BROKER, at: [1, 5] },
    {
      ...{ id: 'commit', parent: 'append', name: 'commit orders', ...BROKER, at: [5, 30] as const },
      attributes: { 'partita.replicas_acked': replicasAcked },
    },
    ...followers.map((at, index): MadeSpan => ({
      ...{ id: `replicate-${index}`, parent: 'append', name: `replicate ${index}`, ...BROKER, at },
    })),
  ];
}

describe('the critical path of a trace', () => {
  it('is the own time of each span when one follows the other', () => {
    expect(
      pathOf(SEND, { id: 'publish', parent: 'send', at: [5, 45] }, { id: 'append', parent: 'publish', at: [10, 40] }),
    ).toEqual({ append: 30, publish: 10, send: 10 });
  });

  it('takes of parallel children the one that ended last, and what ran before it began', () => {
    const children: MadeSpan[] = [
      { id: 'short', parent: 'send', at: [1, 20] },
      { id: 'long', parent: 'send', at: [15, 48] },
    ];
    expect(pathOf(SEND, ...children)).toEqual({ long: 33, short: 14, send: 3 });
  });

  it('has no time of a child that its parent did not wait for', () => {
    expect(pathOf(SEND, { id: 'later', parent: 'send', name: 'replicate x', at: [10, 400] })).toEqual({ send: 50 });
    expect(
      pathOf(SEND, { id: 'publish', parent: 'send', at: [10, 20] }, { id: 'loose', parent: 'publish', at: [12, 45] }),
    ).toEqual({ send: 40, publish: 10 });
  });

  it('follows the follower that decided a commit', () => {
    expect(pathOf(...append('2', [2, 28], [2, 60]))).toEqual({
      'replicate 0': 26,
      'commit orders': 2,
      append: 2,
      fsync: 1,
    });
    expect(pathOf(...append('3', [2, 12], [3, 29]))).toEqual({
      'replicate 1': 26,
      fsync: 2,
      append: 2,
      'commit orders': 1,
    });
  });

  it('follows the first follower when all clocks say that they ended after the commit', () => {
    expect(pathOf(...append('2', [102, 126], [102, 300]))).toEqual({ 'replicate 0': 24, fsync: 4, append: 3 });
  });

  it('follows no follower when the leader alone was enough, or when none is known', () => {
    expect(pathOf(...append('1', [2, 40], [2, 60]))).toEqual({ 'commit orders': 25, fsync: 4, append: 2 });
    expect(pathOf(...append('2'))).toEqual({ 'commit orders': 25, fsync: 4, append: 2 });
  });

  it('follows no commit that came after the append was answered, as with acks=leader', () => {
    const early = append('2', [2, 28]).map((span) => (span.id === 'append' ? { ...span, at: [0, 6] as const } : span));
    expect(pathOf(...early)).toEqual({ fsync: 4, append: 2 });
  });

  it('goes on to the consumer, and tells how long the record lay there before', () => {
    const consumed: MadeSpan[] = [
      { id: 'publish', parent: 'send', ...GATEWAY, at: [1, 49] },
      { id: 'receive', parent: 'send', kind: 'consumer', service: 'partita-consumer-group', at: [250, 255] },
      { id: 'process', parent: 'receive', kind: 'consumer', at: [256, 300] },
      { id: 'commit offsets', parent: 'process', kind: 'client', at: [500, 520] },
    ];
    expect(pathOf(SEND, ...consumed)).toEqual({
      ...{ 'before receive': 200, publish: 48, process: 44, receive: 5, send: 2, 'before process': 1 },
    });
  });

  it('goes on to the consumer from what ran when the record was handed over', () => {
    const spans: MadeSpan[] = [
      { id: 'publish', parent: 'send', ...GATEWAY, at: [1, 49] },
      { id: 'append', parent: 'publish', ...BROKER, at: [2, 48] },
      { id: 'fsync', parent: 'append', ...BROKER, at: [3, 40] },
      { id: 'receive', parent: 'send', kind: 'consumer', at: [42, 60] },
    ];
    expect(pathOf(SEND, ...spans)).toEqual({ fsync: 37, receive: 18, append: 3, publish: 1, send: 1 });
  });

  it('moves what another service did into the call that waited for it, with all below', () => {
    for (const skewMs of [-1000, -8, 0, 8, 1000]) {
      const spans: MadeSpan[] = [
        { id: 'publish', parent: 'send', ...GATEWAY, at: [5 + skewMs, 45 + skewMs] },
        { id: 'route', parent: 'publish', ...GATEWAY, at: [10 + skewMs, 40 + skewMs] },
      ];
      expect(pathOf(SEND, ...spans)).toEqual({ route: 30, publish: 10, send: 10 });
    }
  });

  it('cuts what a called service did after the caller had given up', () => {
    expect(pathOf(SEND, { id: 'publish', parent: 'send', ...GATEWAY, at: [1, 4000] })).toEqual({ publish: 50 });
  });

  it('is not shaken by the clocks of one process, whose spans begin at whole milliseconds', () => {
    expect(pathOf(SEND, { id: 'part', parent: 'send', at: [40, 50.9] })).toEqual({ send: 40, part: 10.9 });
    expect(pathOf(SEND, { id: 'part', parent: 'send', at: [-0.9, 40] })).toMatchObject({ part: 40 });
  });

  it('joins spans whose parents are missing by their times', () => {
    const spans: MadeSpan[] = [
      { id: 'publish', parent: 'gone', at: [0, 30] },
      { id: 'receive', parent: 'gone', kind: 'consumer', at: [70, 80] },
    ];
    expect(pathOf(...spans)).toEqual({ 'before receive': 40, publish: 30, receive: 10 });
  });

  it('is nothing for a trace without length, or without spans', () => {
    expect(criticalPath([])).toEqual({ nanos: 0, parts: [] });
    expect(criticalPath(spanTree([madeSpan({ id: 'a', at: [0, 0] })]))).toEqual({ nanos: 0, parts: [] });
  });

  it('is walked without the stack, and soon, however deep or wide the trace is', () => {
    const deep = Array.from({ length: 2000 }, (_, index): MadeSpan => ({
      ...{ id: `s${index}`, parent: `s${index - 1}`, at: [index / 1000, 10 - index / 1000] },
    }));
    expect(criticalPath(spanTree(deep.map(madeSpan))).parts).toHaveLength(2000);
    const wide = Array.from({ length: 1999 }, (_, index): MadeSpan => ({
      ...{ id: `s${index}`, parent: 'send', at: [index / 100, index / 100 + 0.01] },
    }));
    const startMs = performance.now();
    expect(criticalPath(spanTree([SEND, ...wide].map(madeSpan))).parts).toHaveLength(2000);
    expect(performance.now() - startMs).toBeLessThan(2000);
  });
});

const NAMES = ['send t', 'append t', 'commit t', 'replicate t', 'receive t', 'commit offsets g', 'fsync'] as const;
const KINDS = ['internal', 'client', 'producer', 'consumer', 'server'] as const;

/** Any spans at all: parents that are missing or each other's, times in any order. */
const anySpans: fc.Arbitrary<MadeSpan[]> = fc
  .array(
    fc.record({
      parent: fc.integer({ min: -1, max: 12 }),
      name: fc.constantFrom(...NAMES),
      kind: fc.constantFrom(...KINDS),
      service: fc.constantFrom('a', 'b'),
      from: fc.integer({ min: -100, max: 100 }),
      length: fc.integer({ min: 0, max: 60 }),
    }),
    { minLength: 1, maxLength: 12 },
  )
  .map((spans) =>
    spans.map(({ parent, from, length, ...made }, index) => ({
      ...made,
      ...{ id: `s${index}`, parent: parent < 0 ? '' : `s${parent}`, at: [from, from + length] as const },
    })),
  );

describe('whatever the spans are, the parts of the path', () => {
  it('are longer than nothing, longest first, and add up to the path at most', () => {
    fc.assert(
      fc.property(anySpans, (spans) => {
        const { nanos, parts } = criticalPath(spanTree(spans.map(madeSpan)));
        for (const part of parts) expect(part.nanos).toBeGreaterThan(0);
        expect(parts.map((part) => part.nanos)).toEqual(parts.map((part) => part.nanos).sort((a, b) => b - a));
        const sum = parts.reduce((total, part) => total + part.nanos, 0);
        expect(sum).toBeLessThanOrEqual(nanos);
        expect(new Set(parts.map(({ kind, node }) => `${kind} ${node.span.spanId}`)).size).toBe(parts.length);
      }),
      { numRuns: 2000 },
    );
  });

  it('are all of the path when one tree holds everything and children lie within their parents', () => {
    const nested = anySpans.map((spans) => {
      const at: [number, number][] = [];
      return spans.map((made, index): MadeSpan => {
        const above = at[Math.floor((index - 1) / 2)] ?? [-1000, 1000];
        const fit = (ms: number): number => Math.min(Math.max(ms, above[0]), above[1]);
        const own: [number, number] = index === 0 ? [-1000, 1000] : [fit(made.at[0]), fit(made.at[1])];
        at.push(own);
        const parent = index === 0 ? '' : `s${Math.floor((index - 1) / 2)}`;
        return { ...made, name: 'work', kind: 'internal', parent, at: own };
      });
    });
    fc.assert(
      fc.property(nested, (spans) => {
        const { nanos, parts } = criticalPath(spanTree(spans.map(madeSpan)));
        expect(parts.reduce((total, part) => total + part.nanos, 0)).toBe(nanos);
      }),
      { numRuns: 1000 },
    );
  });
});
