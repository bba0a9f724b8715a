/** A terminal whose output is kept, for specs that run whole commands. */
import { Readable } from 'node:stream';
import type { Terminal } from '../terminal.ts';

export interface RecordedTerminal extends Terminal {
  readonly lines: string[];
  readonly notes: string[];
  interrupt(): void;
}

export function recordedTerminal(input = '', env: Terminal['env'] = {}): RecordedTerminal {
  const interruption = new AbortController();
  const lines: string[] = [];
  const notes: string[] = [];
  return {
    stdin: Object.assign(Readable.from([Buffer.from(input)]), { isTTY: false }) as unknown as Terminal['stdin'],
    env,
    lines,
    notes,
    isScreen: env['SCREEN'] === 'on',
    clear: () => void lines.push('CLEAR'),
    columns: 100,
    colors: env['COLORS'] === 'on',
    interrupted: interruption.signal,
    interrupt: () => interruption.abort(),
    line: (text) => {
      lines.push(text);
      return Promise.resolve();
    },
    flushed: () => Promise.resolve(),
    note: (text) => void notes.push(text),
    progress: () => undefined,
  };
}
