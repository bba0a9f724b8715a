import type { Area } from '../area.ts';

export const fuzz: Area = {
  name: 'fuzz',
  claim: 'No message makes a service answer INTERNAL or UNKNOWN, store what is wrong, or die.',
  suites: ['bad-input'],
  minutesMax: 10,
};
