/**
 * What a row of the table of instruments says. Names, units and labels are API: dashboards and alerts rest on them, so a
 * row is added or deprecated, never changed in its meaning.
 */

/**
 * `counter` only grows, from 0 at the start of the process; `gauge` is a value of now; `histogram` counts values by bucket.
 */
export type InstrumentKind = 'counter' | 'gauge' | 'histogram';

/** As OpenTelemetry writes units: seconds, bytes, a ratio, or in braces what is counted; '' for what has none. */
export type InstrumentUnit = 's' | 'By' | '1' | '' | `{${string}}`;

/** The values that a label may have: all of them, or how many different ones at most, behind which comes OTHER_LABEL. */
export type LabelBound = readonly string[] | number;

export interface InstrumentRow {
  readonly kind: InstrumentKind;
  readonly unit: InstrumentUnit;
  /** One sentence for the endpoint and the reference page. */
  readonly description: string;
  /** Labels by their OpenTelemetry name; none by default. */
  readonly labels?: Readonly<Record<string, LabelBound>>;
  /** Of a histogram: upper bounds of its buckets. */
  readonly buckets?: readonly number[];
  /** Of a gauge: how values that fall under the same labels become one; `sum` by default. */
  readonly merge?: 'sum' | 'max';
}

/** Instruments by their OpenTelemetry name. */
export type InstrumentTable = Readonly<Record<string, InstrumentRow>>;

/** Stands for all values of a label beyond its bound. */
export const OTHER_LABEL = '_other';

type LabelsOfRow<Row> = Row extends { readonly labels: infer Labels }
  ? { readonly [Name in keyof Labels]: Labels[Name] extends readonly (infer Value)[] ? Value : string }
  : undefined;

/** The labels of an instrument as a last argument: none where the row names none. */
export type LabelArguments<Row> = LabelsOfRow<Row> extends undefined ? [] : [labels: LabelsOfRow<Row>];

/** Keeps the exact type of a table. */
export function instruments<const Table extends InstrumentTable>(table: Table): Table {
  return table;
}
