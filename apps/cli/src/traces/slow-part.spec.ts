import { describe, expect, it } from 'vitest';
import { madeSpan } from '../testing/trace-spans.ts';
import type { MadeSpan } from '../testing/trace-spans.ts';
import { slowParts, slowPartText } from './slow-part.ts';
import { spanTree } from './span-tree.ts';

const GATEWAY = { service: 'partita-producer-gateway', instance: '0d2f' };
const LEADER = { service: 'partita-broker', instance: '2' };
const PLACE = { 'messaging.destination.name': 'orders', 'messaging.destination.partition.id': '3' };
const SPANS: readonly MadeSpan[] = [
  {
    id: 'send',
    name: 'send orders',
    kind: 'producer',
    at: [0, 48.9],
    attributes: { 'messaging.destination.name': 'x' },
  },
  { id: 'publish', parent: 'send', name: 'publish orders', ...GATEWAY, at: [1, 48] },
  { id: 'append', parent: 'publish', name: 'append orders', ...LEADER, at: [2, 47], attributes: PLACE },
  { id: 'fsync', parent: 'append', ...LEADER, at: [3, 44.2] },
];

function told(...spans: readonly MadeSpan[]): string | undefined {
  const { slowest } = slowParts(spanTree(spans.map(madeSpan)));
  return slowest === undefined ? undefined : slowPartText(slowest);
}

describe('the slow part of a trace', () => {
  it('is named with its broker, the partition of its work, its time and its share', () => {
    expect(told(...SPANS)).toBe('fsync of broker-2 (orders/3), 41.2 ms of 48.9 ms (84 %)');
  });

  it('is named with its service when that is no broker, and without a partition where none is known', () => {
    const spans = SPANS.filter(({ id }) => id !== 'fsync' && id !== 'append');
    expect(told(...spans)).toBe('publish orders of partita-producer-gateway, 47.0 ms of 48.9 ms (96 %)');
  });

  it('does not repeat a topic that its name has', () => {
    expect(told(...SPANS.filter(({ id }) => id !== 'fsync'))).toBe(
      'append orders of broker-2 (partition 3), 45.0 ms of 48.9 ms (92 %)',
    );
  });

  it('takes the broker of a follower from its own span, not from the leader above', () => {
    const follower = { service: 'partita-broker', attributes: { 'partita.broker.id': '3' } };
    const spans = SPANS.map((span) => (span.id === 'fsync' ? { ...span, at: [3, 5] as const } : span));
    const replicate: MadeSpan = { id: 'r', parent: 'append', name: 'replicate orders', ...follower, at: [4, 46] };
    const commit: MadeSpan = { id: 'c', parent: 'append', name: 'commit orders', ...LEADER, at: [5, 46.5] };
    expect(told(...spans, replicate, commit)).toBe('replicate orders of broker-3, 42.0 ms of 48.9 ms (86 %)');
  });

  it('is a span, and beside it the time in which nothing ran where that is longer', () => {
    const receive: MadeSpan = { id: 'r', parent: 'send', name: 'receive orders', kind: 'consumer', at: [500, 510] };
    const { slowest, wait } = slowParts(
      spanTree([...SPANS, { ...receive, service: 'partita-consumer-group' }].map(madeSpan)),
    );
    expect(slowest === undefined ? '' : slowPartText(slowest)).toBe(
      'fsync of broker-2 (orders/3), 41.2 ms of 510 ms (8 %)',
    );
    expect(wait === undefined ? '' : slowPartText(wait)).toBe(
      'nothing ran before receive orders of partita-consumer-group, 451 ms of 510 ms (88 %)',
    );
    expect(slowParts(spanTree(SPANS.map(madeSpan))).wait).toBeUndefined();
  });

  it('has no control characters, whoever named it', () => {
    expect(told({ id: 'a', name: 'x\u001B[2J', service: 's\n', at: [0, 1] })).toBe(
      'x [2J of s , 1.0 ms of 1.0 ms (100 %)',
    );
  });

  it('is none of a trace without length', () => {
    expect(told({ id: 'a', at: [1, 1] })).toBeUndefined();
  });
});
