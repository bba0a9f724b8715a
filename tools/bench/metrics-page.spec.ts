import { describe, expect, it } from 'vitest';
import { parseMetrics, sumOf } from './metrics-page.ts';

const PAGE = `# HELP writes_total Writes.
# TYPE writes_total counter
writes_total{flush="fsync",topic="a b"} 3
writes_total{flush="os"} 4
writes_totals 100
memory_bytes 1.5e+6
`;

describe('a page of metrics', () => {
  it('is summed by name, and by labels where some are asked for', () => {
    const page = parseMetrics(PAGE);
    expect(sumOf(page, 'writes_total')).toBe(7);
    expect(sumOf(page, 'writes_total', 'flush="fsync"')).toBe(3);
    expect(sumOf(page, 'memory_bytes')).toBe(1_500_000);
    expect(sumOf(page, 'nothing')).toBe(0);
  });
});
