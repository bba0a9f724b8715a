/**
 * How Prometheus calls an instrument: dots become underscores, the base unit is appended unless the name says it, a
 * counter ends in `_total`. Units in braces only say what is counted. These are the rules of OpenTelemetry's own
 * exporters, so that a collector between process and Prometheus changes no name.
 */
import type { InstrumentKind, InstrumentUnit } from './instrument.ts';

const UNIT_WORDS: Readonly<Record<string, string>> = { s: 'seconds', By: 'bytes' };

/** `partita.broker.append.duration` in seconds is `partita_broker_append_duration_seconds`. */
export function prometheusName(
  name: string,
  row: { readonly kind: InstrumentKind; readonly unit: InstrumentUnit },
): string {
  const words = name.split(/[^a-zA-Z0-9]+/);
  const unit = row.unit === '1' && row.kind === 'gauge' ? 'ratio' : UNIT_WORDS[row.unit];
  if (unit !== undefined && !words.includes(unit)) words.push(unit);
  if (row.kind === 'counter') words.push('total');
  return words.join('_');
}

/** `v8js.gc.type` is `v8js_gc_type`. */
export function prometheusLabel(name: string): string {
  return name.replace(/[^a-zA-Z0-9]/g, '_');
}
