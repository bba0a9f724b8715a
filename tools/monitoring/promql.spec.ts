import { describe, expect, it } from 'vitest';
import { parsePromql } from './promql.ts';

describe('parsePromql', () => {
  it('finds the series of an expression, with their matchers, and the labels that it groups by', () => {
    const expression =
      'histogram_quantile(0.9, sum by (le, topic) (rate(a_bucket{job=~"$job",x="y"}[$__rate_interval]))) > scalar(max(b))';
    expect(parsePromql(expression)).toEqual({
      selectors: [
        {
          name: 'a_bucket',
          matchers: [
            { label: 'job', operator: '=~', value: '$job' },
            { label: 'x', operator: '=', value: 'y' },
          ],
        },
        { name: 'b', matchers: [] },
      ],
      groupings: ['le', 'topic'],
    });
  });

  it('takes no function for a metric, and finds both sides of an operator', () => {
    expect(parsePromql('count(up == 0) or vector(0)').selectors.map(({ name }) => name)).toEqual(['up']);
    expect(parsePromql('rate(a[5m]) / on (x) group_left b').selectors.map(({ name }) => name)).toEqual(['a', 'b']);
  });

  it.each(['sum by (a (b)', 'rate(a[5m)', 'a{b=c}', 'a + + '])('refuses %s', (expression) => {
    expect(() => parsePromql(expression)).toThrow('no PromQL');
  });
});
