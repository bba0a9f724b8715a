import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DASHBOARD } from './dashboard.ts';
import { grafanaJson } from './grafana.ts';
import { faultsOf, KNOWN_SERIES, labelsOf } from './known-series.ts';
import { MONITORING } from './files.ts';
import { parsePromql } from './promql.ts';

const panels = DASHBOARD.rows.flatMap((row) => row.panels.map((panel) => ({ row, panel })));
const queries = panels.flatMap(({ row, panel }) =>
  panel.queries.map((query) => ({ ...query, where: `${row.title} / ${panel.title}` })),
);

describe('the dashboard', () => {
  it('asks only for metrics, labels and values that the table of instruments has', () => {
    const faults = queries.flatMap(({ where, expr }) => faultsOf(expr).map((fault) => `${where}: ${fault}`));
    expect(faults).toEqual([]);
  });

  it('names its lines by labels that they have', () => {
    const wrong = queries.flatMap(({ where, expr, legend }) =>
      [...legend.matchAll(/\{\{(\w+)\}\}/g)]
        .filter(([, label = '']) => !labelsOf(expr).has(label))
        .map(([, label]) => `${where}: {{${label}}}`),
    );
    expect(wrong).toEqual([]);
  });

  it('fills its variables from metrics that exist', () => {
    const asked = DASHBOARD.variables.map(({ query }) => /^label_values\((.+), \w+\)$/.exec(query)?.[1] ?? query);
    expect(asked.flatMap(faultsOf)).toEqual([]);
  });

  it('shows every metric of the table', () => {
    const shown = new Set(queries.flatMap(({ expr }) => parsePromql(expr).selectors.map(({ name }) => name)));
    const hidden = [...KNOWN_SERIES.keys()]
      .filter((name) => !/_(sum|count)$/.test(name))
      .filter((name) => ![name, name.replace(/_bucket$/, '_sum')].some((one) => shown.has(one)));
    expect(hidden).toEqual([]);
  });

  it('lies in docs/monitoring/dashboard.json; `vitest run tools/monitoring -u` writes it anew', async () => {
    await expect(grafanaJson(DASHBOARD)).toMatchFileSnapshot(join(MONITORING, 'dashboard.json'));
  });
});

describe('grafanaJson', () => {
  const parsed: unknown = JSON.parse(grafanaJson(DASHBOARD));

  it('gives every panel a number of its own, and a place that no other has', () => {
    const boxes = boxesOf(parsed);
    expect(boxes).toHaveLength(panels.length + DASHBOARD.rows.length);
    expect(new Set(boxes.map(({ id }) => id)).size).toBe(boxes.length);
    // Closed rows keep the places that their panels take when they are open: those of the open row must not meet.
    const open = boxes.slice(0, (DASHBOARD.rows[0]?.panels.length ?? 0) + 1);
    const meeting = open.flatMap((one, index) =>
      open.slice(index + 1).filter((other) => meets(one.gridPos, other.gridPos)),
    );
    expect(meeting).toEqual([]);
    expect(open.every(({ gridPos: { x, w } }) => x >= 0 && x + w <= 24)).toBe(true);
  });
});

interface Box {
  readonly id: number;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
}

/** Every object of the tree that has a place, rows before what is in them. */
function boxesOf(value: unknown): Box[] {
  if (typeof value !== 'object' || value === null) return [];
  const own = 'gridPos' in value && 'id' in value ? [value as Box] : [];
  return [...own, ...Object.values(value).flatMap(boxesOf)];
}

function meets(one: Box['gridPos'], other: Box['gridPos']): boolean {
  return one.x < other.x + other.w && other.x < one.x + one.w && one.y < other.y + other.h && other.y < one.y + one.h;
}
