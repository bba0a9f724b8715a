import type { Area } from '../area.ts';

export const balance: Area = {
  name: 'balance',
  claim:
    'A broker that joins under load takes its share, one that is emptied gives all of it away, and nobody who writes meanwhile meets an error that is not retried away.',
  suites: ['balance', 'replica-changes'],
  minutesMax: 30,
};
