/** The dashboard in Grafana's form (schema 39, Grafana 10.4 and later), laid out in a grid of 24 columns. */
import type { Panel, Row } from './panel.ts';

const COLUMNS = 24;
const GRAPH = { w: 8, h: 8 };
const STAT = { w: 3, h: 4 };
const DATASOURCE = { type: 'prometheus', uid: '${datasource}' };

interface Place {
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
}

/** A list variable that is filled from a label's values. */
export interface Variable {
  readonly name: string;
  readonly label: string;
  readonly query: string;
}

export interface Dashboard {
  readonly title: string;
  readonly about: string;
  /** Lasts when the dashboard is imported again, so that links to it stay good. */
  readonly uid: string;
  readonly variables: readonly Variable[];
  readonly rows: readonly Row[];
}

/** The JSON that Grafana imports; ends with a line feed. */
export function grafanaJson({ title, about, uid, variables, rows }: Dashboard): string {
  let y = 0;
  let id = 0;
  const panels: object[] = [];
  for (const row of rows) {
    id += 1;
    const header = { type: 'row', id, title: row.title, gridPos: { x: 0, y, w: COLUMNS, h: 1 } };
    const { places, bottom } = layOut(row.panels, y + 1);
    const inside = row.panels.map((panel, index) => panelJson(panel, ++id, places[index]));
    if (row.collapsed === true) panels.push({ ...header, collapsed: true, panels: inside });
    else panels.push({ ...header, collapsed: false, panels: [] }, ...inside);
    y = row.collapsed === true ? y + 1 : bottom;
  }
  const dashboard = {
    uid,
    title,
    description: about,
    tags: ['partita'],
    schemaVersion: 39,
    editable: true,
    graphTooltip: 1,
    refresh: '10s',
    time: { from: 'now-30m', to: 'now' },
    timezone: 'browser',
    templating: { list: [datasourceVariable(), ...variables.map(variableJson)] },
    annotations: { list: [] },
    panels,
  };
  return `${JSON.stringify(dashboard, null, 2)}\n`;
}

/** From left to right, a new line where the next does not fit. */
function layOut(panels: readonly Panel[], top: number): { places: Place[]; bottom: number } {
  let [x, y, lineHeight] = [0, top, 0];
  const places = panels.map((panel) => {
    const size = panel.kind === 'stat' ? STAT : GRAPH;
    if (x + size.w > COLUMNS || (lineHeight !== 0 && size.h !== lineHeight)) [x, y] = [0, y + lineHeight];
    const place = { x, y, ...size };
    x += size.w;
    lineHeight = size.h;
    return place;
  });
  return { places, bottom: y + lineHeight };
}

function panelJson(panel: Panel, id: number, gridPos: Place | undefined): object {
  const stat = panel.kind === 'stat';
  return {
    type: stat ? 'stat' : 'timeseries',
    id,
    title: panel.title,
    description: panel.about,
    gridPos,
    datasource: DATASOURCE,
    targets: panel.queries.map(({ expr, legend }, index) => ({
      refId: String.fromCharCode('A'.charCodeAt(0) + index),
      datasource: DATASOURCE,
      expr,
      legendFormat: legend,
      ...(stat ? { instant: true, range: false } : { range: true }),
    })),
    fieldConfig: {
      defaults: {
        unit: panel.unit,
        ...(stat ? { thresholds: thresholdsOf(panel), color: { mode: 'thresholds' } } : { min: 0, custom: LINES }),
      },
      overrides: [],
    },
    options: stat ? STAT_OPTIONS : GRAPH_OPTIONS,
  };
}

const LINES = { drawStyle: 'line', lineWidth: 1, fillOpacity: 10, showPoints: 'never', spanNulls: false };
const STAT_OPTIONS = {
  colorMode: 'background',
  graphMode: 'none',
  reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false },
};
const GRAPH_OPTIONS = {
  legend: { displayMode: 'list', placement: 'bottom' },
  tooltip: { mode: 'multi', sort: 'desc' },
};

function thresholdsOf({ redFrom, greenFrom }: Panel): object {
  const steps: object[] =
    greenFrom === undefined
      ? [{ color: 'green', value: null }]
      : [
          { color: 'red', value: null },
          { color: 'green', value: greenFrom },
        ];
  if (redFrom !== undefined) steps.push({ color: 'red', value: redFrom });
  return { mode: 'absolute', steps };
}

function datasourceVariable(): object {
  return { type: 'datasource', name: 'datasource', label: 'Prometheus', query: 'prometheus', current: {} };
}

function variableJson({ name, label, query }: Variable): object {
  return {
    type: 'query',
    name,
    label,
    datasource: DATASOURCE,
    query: { query, refId: name },
    definition: query,
    refresh: 2,
    sort: 1,
    multi: true,
    includeAll: true,
    allValue: '.*',
    current: { text: 'All', value: '$__all' },
  };
}
