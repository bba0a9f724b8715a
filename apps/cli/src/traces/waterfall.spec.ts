import { TraceSpan } from '@partita/protocol';
import { describe, expect, it } from 'vitest';
import { spanTree } from './span-tree.ts';
import { waterfall } from './waterfall.ts';

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
const NODES = spanTree(SPANS);
const STYLE = { colors: false, attributes: false, marked: NODES.find(({ span: { name } }) => name === 'publish') };
const plain = (columns: number) => waterfall(NODES, { ...STYLE, columns });

describe('a waterfall', () => {
  it('draws bars to scale, own time full and children light, and marks the span that it is told', () => {
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
    const coloured = waterfall(NODES, { ...STYLE, columns: 80, colors: true });
    expect(coloured.join('')).toContain('\u001B[31m');
    expect(coloured.map((line) => line.replace(/\u001B\[\d+m/g, '').trimEnd())).toEqual(plain(80));
    expect(plain(80).join('')).not.toContain('\u001B');
  });

  it('lets no name move the cursor', () => {
    const evil = 'a\u001B[2Jb\nc';
    const events = [{ name: evil, time: { seconds: 5n, nanos: 0 }, attributes: [{ name: evil, value: evil }] }];
    const attributes = [{ name: evil, value: evil }];
    const nodes = spanTree([span({ spanId: 'r', name: evil, serviceName: evil, events, attributes }, 0, 1)]);
    const lines = waterfall(nodes, { ...STYLE, columns: 80, attributes: true });
    expect(lines.length).toBe(5);
    expect(lines[1]).toContain('a [2Jb c');
    expect(/[\n\u001B]/.test(lines.join(''))).toBe(false);
  });

  it('tells events with their moment, attributes when asked for, and what was left out', () => {
    const nodes = spanTree([
      span(
        {
          ...{ spanId: 'r', name: 'send', serviceName: 's', error: 'no', links: ['aa-bb'] },
          attributes: [{ name: 'messaging.system', value: 'partita' }],
          events: [
            { name: 'retry', time: { seconds: 5n, nanos: 1_500_000 }, attributes: [{ name: 'why', value: 'moved' }] },
            { name: 'early', time: { seconds: 4n, nanos: 999_000_000 }, attributes: [] },
          ],
          ...{ droppedAttributeCount: 1, droppedEventCount: 3 },
        },
        0,
        4,
      ),
    ]);
    const notes = (attributes: boolean) =>
      waterfall(nodes, { ...STYLE, columns: 80, attributes })
        .slice(2)
        .map((line) => line.trim());
    expect(notes(false)).toEqual([
      '! no',
      '+1.5 ms retry',
      '-1.0 ms early',
      'linked to aa-bb',
      'left out: 1 attribute, 3 events',
    ]);
    expect(notes(true).slice(1, 4)).toEqual(['messaging.system = partita', '+1.5 ms retry', 'why = moved']);
  });
});
