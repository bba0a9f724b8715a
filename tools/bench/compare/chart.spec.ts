import { describe, expect, it } from 'vitest';
import { barChart } from './chart.ts';

describe('a bar chart', () => {
  it('scales each panel to its own highest value, ranges included', () => {
    const chart = barChart([
      {
        title: 'a',
        unit: 'x',
        bars: [
          { label: 'p', value: 50, isOurs: true },
          { label: 'q', value: 100, isOurs: false },
        ],
      },
      { title: 'b', unit: 'x', bars: [{ label: 'r', value: 1, range: [0.5, 4], isOurs: true }] },
    ]);
    const widths = [...chart.matchAll(/<rect x="230"[^>]* width="([\d.]+)"/g)].map((match) => Number(match[1]));
    expect(widths).toEqual([210, 420, 105]);
    // The whisker from 0.5 to 4.
    expect(chart).toContain('M282.5 ');
    expect(chart).toContain('H650');
  });

  it('is as high as its rows, and escapes what it is told', () => {
    const chart = barChart([{ title: 'a < b & c', unit: 'ms', bars: [] }]);
    expect(chart).toContain('a &lt; b &amp; c, ms');
    expect(chart).toContain('height="58"');
  });
});
