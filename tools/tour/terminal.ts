/** What the tour prints. Colour only on a terminal, and never with NO_COLOR. */
import { styleText } from 'node:util';
import type { Check } from './checks.ts';

type Style = Parameters<typeof styleText>[0];

export class Terminal {
  readonly #stream: NodeJS.WritableStream;
  readonly #colour: boolean;
  #steps = 0;

  constructor(stream: NodeJS.WritableStream & { readonly isTTY?: boolean }, env: NodeJS.ProcessEnv) {
    this.#stream = stream;
    this.#colour = stream.isTTY === true && (env['NO_COLOR'] ?? '') === '';
  }

  title(text: string): void {
    this.#write(`\n${this.#style('bold', text)}\n`);
  }

  /** Heading of the next step, numbered. */
  step(text: string): void {
    this.#steps += 1;
    this.#write(`\n${this.#style(['bold', 'cyan'], `${this.#steps}  ${text}`)}\n`);
  }

  line(text: string): void {
    this.#write(`   ${text}\n`);
  }

  /** Columns of equal width; those of which every cell is a number stand to the right. */
  table(header: readonly string[], rows: readonly (readonly (string | number)[])[]): void {
    const right = header.map((_, column) => rows.every((row) => typeof row[column] === 'number'));
    const text = [header, ...rows].map((row) =>
      row.map((cell) => (typeof cell === 'number' ? cell.toLocaleString('en-US') : cell)),
    );
    const widths = header.map((_, column) => Math.max(...text.map((row) => row[column]?.length ?? 0)));
    for (const [index, row] of text.entries()) {
      const cells = row.map((cell, column) => {
        const width = widths[column] ?? 0;
        return right[column] === true ? cell.padStart(width) : cell.padEnd(width);
      });
      const line = cells.join('   ').trimEnd();
      this.line(index === 0 ? this.#style('dim', line) : line);
    }
  }

  check({ claim, holds, detail }: Check): void {
    const mark = holds ? this.#style('green', '✓') : this.#style(['bold', 'red'], '✗');
    this.line(`${mark} ${claim} ${this.#style('dim', `(${detail})`)}`);
  }

  #style(style: Style, text: string): string {
    return this.#colour ? styleText(style, text, { validateStream: false }) : text;
  }

  #write(text: string): void {
    this.#stream.write(text);
  }
}

/** `12,345 records/s, 4.6 MB/s`. */
export function rate(recordCount: number, bytes: number, durationMs: number): string {
  const seconds = Math.max(durationMs, 1) / 1000;
  const records = Math.round(recordCount / seconds).toLocaleString('en-US');
  return `${records} records/s, ${(bytes / seconds / 1e6).toFixed(1)} MB/s`;
}
