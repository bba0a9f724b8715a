/** Bars as an SVG that any page shows: a panel for each figure, a bar for each system, and how far its rounds lay apart. */

export interface Bar {
  readonly label: string;
  readonly value: number;
  /** Lowest and highest of the rounds; absent = only one figure is told. */
  readonly range?: readonly [lowest: number, highest: number];
  /** Of ours: drawn in another colour. */
  readonly isOurs: boolean;
}

export interface Panel {
  readonly title: string;
  readonly unit: string;
  readonly bars: readonly Bar[];
}

const WIDTH = 760;
const LABEL_WIDTH = 230;
const FIGURE_WIDTH = 110;
const BAR_WIDTH_MAX = WIDTH - LABEL_WIDTH - FIGURE_WIDTH;
const ROW_HEIGHT = 24;
const BAR_HEIGHT = 14;
const TITLE_HEIGHT = 34;
const MARGIN = 12;

/** Each panel has a scale of its own, from nought to its highest value. */
export function barChart(panels: readonly Panel[]): string {
  let top = MARGIN;
  const parts = panels.map((panel) => {
    const drawn = panelAt(panel, top);
    top += TITLE_HEIGHT + panel.bars.length * ROW_HEIGHT;
    return drawn;
  });
  const height = top + MARGIN;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" font-family="sans-serif" font-size="13">
<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>
${parts.join('')}</svg>
`;
}

function panelAt({ title, unit, bars }: Panel, top: number): string {
  const highest = Math.max(...bars.map(({ value, range }) => Math.max(value, range?.[1] ?? 0)), Number.MIN_VALUE);
  const widthOf = (value: number): number => Number(((value / highest) * BAR_WIDTH_MAX).toFixed(1));
  const heading = text(MARGIN, top + 20, `${title}, ${unit}`, 'font-weight="bold"');
  return heading + bars.map((bar, index) => barAt(bar, top + TITLE_HEIGHT + index * ROW_HEIGHT, widthOf)).join('');
}

function barAt({ label, value, range, isOurs }: Bar, top: number, widthOf: (value: number) => number): string {
  const middle = top + BAR_HEIGHT / 2;
  const baseline = middle + 4;
  const [from, to] = (range ?? [value, value]).map((end) => LABEL_WIDTH + widthOf(end));
  const end = Math.max(LABEL_WIDTH + widthOf(value), to ?? 0) + 8;
  const whisker =
    range === undefined
      ? ''
      : `<path d="M${from} ${middle}H${to}M${from} ${top + 2}v10M${to} ${top + 2}v10" stroke="#222222" fill="none"/>\n`;
  return (
    text(LABEL_WIDTH - 8, baseline, label, 'text-anchor="end"') +
    `<rect x="${LABEL_WIDTH}" y="${top}" width="${widthOf(value)}" height="${BAR_HEIGHT}" fill="${isOurs ? '#2f6fb2' : '#a9b4c0'}"/>\n` +
    whisker +
    text(end, baseline, value >= 100 ? value.toFixed(0) : value.toPrecision(3))
  );
}

function text(x: number, y: number, content: string, attributes = ''): string {
  const escaped = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${x}" y="${y}" fill="#222222"${attributes === '' ? '' : ` ${attributes}`}>${escaped}</text>\n`;
}
