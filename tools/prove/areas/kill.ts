import type { Area } from '../area.ts';

export const kill: Area = {
  name: 'kill',
  claim:
    'After kill -9 of every process at once, every acknowledged record is there, exactly once, in the order of its key.',
  suites: ['kill'],
  minutesMax: 30,
};
