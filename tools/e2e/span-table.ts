/** What a trace should look like, as a table: one line a span, and what is wrong with a trace that came. */
import type { ReceivedSpan } from '@partita/testkit';

export interface ExpectedSpan {
  readonly name: string | RegExp;
  /** Names the span for those below it; default its name. */
  readonly as?: string;
  /** `as` of its parent, or a name; undefined = the root. */
  readonly parent?: string;
  readonly service: string;
  readonly kind: ReceivedSpan['kind'];
  /** Default 1. */
  readonly count?: number;
  /** Values as text; a pattern where they are not known. */
  readonly attributes?: Readonly<Record<string, string | RegExp>>;
  readonly error?: boolean;
  /** True = its interval lies within its parent's. */
  readonly isWithin?: boolean;
}

/** Clocks of processes on one machine agree to this. */
const SKEW_NANOS = 2_000_000n;

/** What differs; empty when the trace holds exactly the spans of the table, connected as it says. */
export function differences(spans: readonly ReceivedSpan[], table: readonly ExpectedSpan[]): string[] {
  const wrong: string[] = [];
  const rest = new Set(spans);
  const named = new Map<string, ReceivedSpan[]>();
  for (const row of table) {
    const text = row.as ?? String(row.name);
    const found = spans.filter((span) => rest.has(span) && matches(span, row, named));
    for (const span of found) rest.delete(span);
    named.set(text, [...(named.get(text) ?? []), ...found]);
    if (found.length !== (row.count ?? 1)) wrong.push(`${text}: ${found.length} spans instead of ${row.count ?? 1}`);
    for (const span of found) wrong.push(...faultsOf(span, row, spans).map((fault) => `${text}: ${fault}`));
  }
  for (const { service, name, parentSpanId } of rest) {
    const parent = spans.find(({ spanId }) => spanId === parentSpanId)?.name;
    wrong.push(
      `unexpected: ${service} "${name}" below ${parent ?? (parentSpanId === '' ? 'nothing' : 'one that is missing')}`,
    );
  }
  return wrong;
}

function matches(span: ReceivedSpan, row: ExpectedSpan, named: ReadonlyMap<string, readonly ReceivedSpan[]>): boolean {
  const isNamed = typeof row.name === 'string' ? span.name === row.name : row.name.test(span.name);
  if (!isNamed || span.service !== row.service) return false;
  if (row.parent === undefined) return span.parentSpanId === '';
  return (named.get(row.parent) ?? []).some(({ spanId }) => spanId === span.parentSpanId);
}

function faultsOf(span: ReceivedSpan, row: ExpectedSpan, spans: readonly ReceivedSpan[]): string[] {
  const faults: string[] = [];
  if (span.kind !== row.kind) faults.push(`is of kind ${span.kind} instead of ${row.kind}`);
  if (span.error !== (row.error ?? false)) faults.push(row.error === true ? 'is no error' : 'is an error');
  if (span.startNanos <= 0n || span.endNanos < span.startNanos) faults.push('has no duration');
  for (const [key, expected] of Object.entries(row.attributes ?? {})) {
    const value = span.attributes[key];
    const fits = value !== undefined && (typeof expected === 'string' ? value === expected : expected.test(value));
    if (!fits) faults.push(`${key} is ${value ?? 'absent'} instead of ${expected}`);
  }
  const parent = spans.find(({ spanId }) => spanId === span.parentSpanId);
  if (row.isWithin === true && parent !== undefined) {
    const isBefore = span.startNanos + SKEW_NANOS < parent.startNanos;
    if (isBefore || span.endNanos > parent.endNanos + SKEW_NANOS) faults.push('does not lie within its parent');
  }
  return faults;
}
