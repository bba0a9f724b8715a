import type { Area } from '../area.ts';

export const redis: Area = {
  name: 'redis',
  claim: 'Redis may be down for 20 s, or lose everything: nothing that is produced or consumed fails.',
  suites: ['redis'],
  minutesMax: 10,
};
