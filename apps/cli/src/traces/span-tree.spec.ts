import { TraceSpan } from '@partita/protocol';
import { describe, expect, it } from 'vitest';
import { spanTree } from './span-tree.ts';

const BASE_SECONDS = 1_700_000_000n;

/** Times in milliseconds since the first second. */
function span(spanId: string, parentSpanId: string, startMs: number, endMs: number): TraceSpan {
  return TraceSpan.fromPartial({
    ...{ spanId, parentSpanId, name: spanId, serviceName: 's' },
    startTime: { seconds: BASE_SECONDS, nanos: startMs * 1_000_000 },
    duration: { seconds: 0n, nanos: (endMs - startMs) * 1_000_000 },
  });
}

const shape = (spans: readonly TraceSpan[]) => spanTree(spans).map(({ span: { name }, depth }) => `${depth} ${name}`);
const ownMs = (spans: readonly TraceSpan[], name: string) => {
  const node = spanTree(spans).find((candidate) => candidate.span.name === name);
  return node === undefined ? undefined : node.ownNanos / 1e6;
};

describe('the tree of a trace', () => {
  it('has children below their parents, siblings by their start', () => {
    const spans = [span('late', 'root', 6, 8), span('early', 'root', 1, 3), span('root', '', 0, 9)];
    expect(shape([...spans, span('leaf', 'early', 2, 3)])).toEqual(['0 root', '1 early', '2 leaf', '1 late']);
  });

  it('counts as own time what no child covers, however the children overlap', () => {
    const root = span('root', '', 10, 110);
    expect(ownMs([root], 'root')).toBe(100);
    expect(ownMs([root, span('a', 'root', 20, 50), span('b', 'root', 30, 60)], 'root')).toBe(60);
    expect(ownMs([root, span('a', 'root', 20, 90), span('b', 'root', 30, 40)], 'root')).toBe(30);
    expect(ownMs([root, span('grandchild', 'a', 0, 200), span('a', 'root', 20, 30)], 'root')).toBe(90);
  });

  it('counts a child only while its parent runs: it may be late, or another clock', () => {
    const root = span('root', '', 10, 110);
    expect(ownMs([root, span('a', 'root', 0, 20), span('b', 'root', 100, 200)], 'root')).toBe(80);
    expect(ownMs([root, span('after', 'root', 150, 200)], 'root')).toBe(100);
    expect(ownMs([root, span('around', 'root', 0, 200)], 'root')).toBe(0);
  });

  it('has a span without its parent at the top, marked', () => {
    const [first, second] = spanTree([span('root', '', 0, 5), span('lost', 'nobody', 1, 2)]);
    expect([first?.orphan, second?.orphan, second?.depth]).toEqual([false, true, 0]);
  });

  it('has every span once, though they be each other’s parents', () => {
    expect(shape([span('x', 'y', 1, 2), span('y', 'x', 2, 3), span('z', 'z', 3, 4)])).toEqual(['0 x', '1 y', '0 z']);
  });

  it('is not limited in depth by the stack', () => {
    const chain = Array.from({ length: 2000 }, (_, index) =>
      span(`s${index}`, index === 0 ? '' : `s${index - 1}`, 0, 1),
    );
    expect(spanTree(chain).at(-1)?.depth).toBe(1999);
  });
});
