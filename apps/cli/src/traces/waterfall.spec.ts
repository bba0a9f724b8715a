import { TraceSpan } from '@partita/protocol';
import { describe, expect, it } from 'vitest';
import { spanTree } from './span-tree.ts';
import { nanosText, waterfall } from './waterfall.ts';

function span(more: Partial<TraceSpan>, startMs: number, endMs: number): TraceSpan {
  return TraceSpan.fromPartial({
    ...more,
    startTime: { seconds: 5n, nanos: startMs * 1_000_000 },
    duration: { seconds: 0n, nanos: (endMs - startMs) * 1_000_000 },
  });
}

const SPANS = [
  span({ spanId: 'r', name: 'send hello', serviceName: 'cli' }, 0, 100),
  span({ spanId: 'p', parentSpanId: 'r', name: 'publish', serviceName: 'gateway', links: ['aa-bb'] }, 20, 80),
  span({ spanId: 'a', parentSpanId: 'p', name: 'append', serviceName: 'broker', error: 'disk full' }, 25, 35),
];
const plain = (columns: number) => waterfall(spanTree(SPANS), { columns, colors: false });

describe('a waterfall', () => {
  it('draws bars to scale, own time full and children light, and marks the span that took the most', () => {
    expect(plain(66)).toEqual([
      'SERVICE  SPAN        DURATION      OWN',
      'cli      send hello    100 ms  40.0 ms  █████░░░░░░░░░░░░░░█████',
      'gateway    publish    60.0 ms  50.0 ms      ██░░██████████ «',
      '             linked to aa-bb',
      'broker       append   10.0 ms  10.0 ms        ██',
      '               ! disk full',
    ]);
  });

  it('fits the screen, and keeps bars that can be seen on a narrow one', () => {
    for (const columns of [70, 100, 200]) {
      expect(Math.max(...plain(columns).map((line) => line.length))).toBeLessThanOrEqual(columns);
    }
    expect(plain(10).some((line) => /█{2}/.test(line))).toBe(true);
  });

  it('begins and ends a bar where its span does', () => {
    const bars = plain(104).filter((line) => /[█░]/.test(line));
    const root = bars[0] ?? '';
    const publish = bars[1] ?? '';
    const [from, length] = [root.indexOf('█'), root.lastIndexOf('█') + 1 - root.indexOf('█')];
    expect((publish.search(/[█░]/) - from) / length).toBeCloseTo(0.2, 1);
    expect((publish.search(/[█░](?![█░])/) + 1 - from) / length).toBeCloseTo(0.8, 1);
  });

  it('colours services only when it may', () => {
    const coloured = waterfall(spanTree(SPANS), { columns: 80, colors: true });
    expect(coloured.join('')).toContain('\u001B[31m');
    expect(coloured.map((line) => line.replace(/\u001B\[\d+m/g, '').trimEnd())).toEqual(plain(80));
    expect(plain(80).join('')).not.toContain('\u001B');
  });

  it('lets no name move the cursor', () => {
    const nodes = spanTree([span({ spanId: 'r', name: 'a\u001B[2Jb\nc', serviceName: 's' }, 0, 1)]);
    const lines = waterfall(nodes, { columns: 80, colors: false });
    expect(lines.length).toBe(2);
    expect(lines[1]).toContain('a [2Jb c');
  });
});

describe('a duration', () => {
  it.each([
    [0, '0 µs'],
    [840_000, '840 µs'],
    [12_340_000, '12.3 ms'],
    [456_000_000, '456 ms'],
    [1_234_000_000, '1.23 s'],
  ])('of %i ns is %s', (nanos, text) => expect(nanosText(nanos)).toBe(text));
});
