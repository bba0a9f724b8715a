/** Which series Prometheus finds in a cluster, from the table of instruments, and what an expression asks for beyond them. */
import { INSTRUMENTS, prometheusLabel, prometheusName } from '@partita/telemetry';
import type { InstrumentRow, LabelBound } from '@partita/telemetry';
import { parsePromql } from './promql.ts';

/** Labels that a scrape gives every series; `service` comes from the list of targets. */
const TARGET_LABELS = ['job', 'instance', 'service'];

/** What the series of a name may have as labels; the bound says which values, if it is a list of them. */
type Labels = ReadonlyMap<string, LabelBound>;

/** Every name that a cluster exposes. A histogram has three, none of them its own. */
export const KNOWN_SERIES: ReadonlyMap<string, Labels> = new Map([
  ['up', new Map()] as const,
  ...Object.entries<InstrumentRow>(INSTRUMENTS).flatMap(([instrument, row]) => {
    const name = prometheusName(instrument, row);
    const labels = Object.entries(row.labels ?? {}).map(([label, bound]) => [prometheusLabel(label), bound] as const);
    if (row.kind !== 'histogram') return [[name, new Map(labels)] as const];
    return [
      [`${name}_bucket`, new Map([...labels, ['le', Infinity]])] as const,
      [`${name}_sum`, new Map(labels)] as const,
      [`${name}_count`, new Map(labels)] as const,
    ];
  }),
]);

/** What is wrong with an expression: metrics, labels, or values of labels that no process has. */
export function faultsOf(expression: string): string[] {
  const { selectors, groupings } = parsePromql(expression);
  const faults: string[] = [];
  const labels = new Set(TARGET_LABELS);
  for (const { name, matchers } of selectors) {
    const known = KNOWN_SERIES.get(name);
    if (known === undefined) {
      faults.push(`no instrument is called ${name}`);
      continue;
    }
    for (const label of known.keys()) labels.add(label);
    for (const { label, value } of matchers) {
      if (TARGET_LABELS.includes(label)) continue;
      const bound = known.get(label);
      if (bound === undefined) faults.push(`${name} has no label ${label}`);
      else if (typeof bound !== 'number') faults.push(...strangeValues(name, label, value, bound));
    }
  }
  faults.push(...groupings.filter((label) => !labels.has(label)).map((label) => `nothing here has the label ${label}`));
  return faults;
}

/** Labels that the lines of an expression may be named by. */
export function labelsOf(expression: string): ReadonlySet<string> {
  const { selectors, groupings } = parsePromql(expression);
  if (groupings.length > 0) return new Set(groupings);
  return new Set([...TARGET_LABELS, ...selectors.flatMap(({ name }) => [...(KNOWN_SERIES.get(name)?.keys() ?? [])])]);
}

function strangeValues(name: string, label: string, value: string, bound: readonly string[]): string[] {
  return value
    .split('|')
    .filter((one) => !bound.includes(one))
    .map((one) => `${label} of ${name} is never ${one}`);
}
