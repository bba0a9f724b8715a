/** Instruments of the console. */
import { instruments } from '../instrument.ts';

export const CONSOLE_INSTRUMENTS = instruments({
  'partita.console.spans': {
    kind: 'counter',
    unit: '{span}',
    description: 'Spans that came, by what became of them.',
    labels: { outcome: ['kept', 'dropped'] },
  },
  'partita.console.traces': { kind: 'gauge', unit: '{trace}', description: 'Traces that are kept.' },
});
