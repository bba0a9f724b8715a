/**
 * The rows named by --rows, in the order of `rows`: whole names by comma, or beginnings that end where a `-` follows.
 * All of them when nothing is named. Throws an Error that names the choices.
 */
export function chooseRows<Row extends { readonly name: string }>(
  rows: readonly Row[],
  names: string | undefined,
): readonly Row[] {
  if (names === undefined) return rows;
  const wanted = names.split(',');
  const isNamed = (row: Row, name: string): boolean => row.name === name || row.name.startsWith(`${name}-`);
  const unknown = wanted.filter((name) => !rows.some((row) => isNamed(row, name)));
  if (unknown.length > 0) throw new Error(`no row is called ${unknown.join(', ')}; there are: ${rowNames(rows)}`);
  return rows.filter((row) => wanted.some((name) => isNamed(row, name)));
}

/** For people, by comma. */
export function rowNames(rows: readonly { readonly name: string }[]): string {
  return rows.map(({ name }) => name).join(', ');
}
