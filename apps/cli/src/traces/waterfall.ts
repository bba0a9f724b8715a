/**
 * A trace as a waterfall:
 *
 *   SERVICE           SPAN               DURATION      OWN
 *   partita-cli       produce hello       12.4 ms   4.5 ms  ████░░░░░░░░████
 *   partita-broker      append hello       7.9 ms   7.9 ms      ████████ «
 *
 * A bar begins where its span began, is full where the span ran by itself and light where a child did. `«` marks the span
 * that the caller names: where to look first.
 */
import { cutLine } from './cut-line.ts';
import { nanosText, printable } from './duration-text.ts';
import { spanNotes } from './span-notes.ts';
import type { SpanNote } from './span-notes.ts';
import type { SpanNode } from './span-tree.ts';

const BAR_CHARS_MIN = 20;
const NAME_CHARS_MAX = 48;
const SERVICE_CHARS_MAX = 28;
/** SGR colours that can be read on dark and on light screens. */
const SERVICE_COLORS = [36, 33, 32, 35, 34, 96, 92, 95] as const;
const ERROR_COLOR = 31;
const BOLD = 1;
const DIM = 2;
const NOTE_COLORS: Readonly<Record<SpanNote['kind'], number>> = {
  error: ERROR_COLOR,
  event: 0,
  attribute: DIM,
  link: DIM,
  dropped: DIM,
};

export interface WaterfallStyle {
  readonly columns: number;
  readonly colors: boolean;
  /** True = with the attributes of spans and events. */
  readonly attributes: boolean;
  readonly marked: SpanNode | undefined;
}

/** One line for each span and below it, indented, what is told of it. */
export function waterfall(nodes: readonly SpanNode[], style: WaterfallStyle): string[] {
  const { columns, colors, marked } = style;
  const paint = (code: number, text: string): string => (colors ? `\u001B[${code}m${text}\u001B[0m` : text);
  const widest = (texts: readonly string[], max: number): number =>
    Math.min(max, Math.max(...texts.map((text) => text.length)));
  const names = nodes.map((node) => `${'  '.repeat(node.depth)}${node.orphan ? '? ' : ''}${printable(node.span.name)}`);
  const services = nodes.map(({ span }) => printable(span.serviceName) || '-');
  const durations = nodes.map(({ durationNanos }) => nanosText(durationNanos));
  const owns = nodes.map(({ ownNanos }) => nanosText(ownNanos));
  const widths = {
    service: widest(['SERVICE', ...services], SERVICE_CHARS_MAX),
    name: widest(['SPAN', ...names], NAME_CHARS_MAX),
    duration: widest(['DURATION', ...durations], columns),
    own: widest(['OWN', ...owns], columns),
  };
  const row = (service: string, name: string, duration: string, own: string): [string, string] => [
    cutLine(service, widths.service).padEnd(widths.service),
    `  ${cutLine(name, widths.name).padEnd(widths.name)}  ${duration.padStart(widths.duration)}  ${own.padStart(widths.own)}`,
  ];
  const textChars = Object.values(widths).reduce((sum, width) => sum + width + 2, 0);
  const barChars = Math.max(BAR_CHARS_MIN, columns - textChars - 2);
  const wholeNanos = Math.max(1, ...nodes.map(({ startNanos, durationNanos }) => startNanos + durationNanos));
  const colorOf = serviceColors(services);
  const lines = [paint(BOLD, row('SERVICE', 'SPAN', 'DURATION', 'OWN').join(''))];
  for (const [index, node] of nodes.entries()) {
    const service = services[index] ?? '';
    const [left, right] = row(service, names[index] ?? '', durations[index] ?? '', owns[index] ?? '');
    const failed = node.span.error !== '';
    const color = failed ? ERROR_COLOR : (colorOf.get(service) ?? ERROR_COLOR);
    const mark = node === marked ? ' «' : '';
    const bar = barOf(node, wholeNanos, barChars);
    lines.push(
      `${paint(colorOf.get(service) ?? color, left)}${right}  ${paint(color, bar)}${paint(BOLD, mark)}`.trimEnd(),
    );
    const indent = ' '.repeat(widths.service + 2 + 2 * node.depth + 2);
    for (const { kind, text } of spanNotes(node, style.attributes)) lines.push(paint(NOTE_COLORS[kind], indent + text));
  }
  return lines;
}

/** From the span's start to its end: full where it ran by itself, light where a child did. At least one block. */
function barOf({ startNanos, durationNanos, own }: SpanNode, wholeNanos: number, chars: number): string {
  const nanosPerChar = wholeNanos / chars;
  const first = Math.min(chars - 1, Math.floor(startNanos / nanosPerChar));
  const length = Math.max(1, Math.min(chars - first, Math.round(durationNanos / nanosPerChar)));
  const blocks = Array.from({ length }, (_, index) => {
    const from = (first + index) * nanosPerChar;
    const to = from + nanosPerChar;
    const ownNanos = own.reduce((sum, part) => sum + Math.max(0, Math.min(part.to, to) - Math.max(part.from, from)), 0);
    const spanNanos = Math.min(startNanos + durationNanos, to) - Math.max(startNanos, from);
    return length === 1 || 2 * ownNanos >= spanNanos ? '█' : '░';
  });
  return `${' '.repeat(first)}${blocks.join('')}`;
}

/** One colour for each service, in the order in which they come. */
function serviceColors(services: readonly string[]): Map<string, number> {
  const distinct = [...new Set(services)];
  return new Map(distinct.map((service, index) => [service, SERVICE_COLORS[index % SERVICE_COLORS.length] ?? DIM]));
}
