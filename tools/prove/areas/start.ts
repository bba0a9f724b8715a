import type { Area } from '../area.ts';

export const start: Area = {
  name: 'start',
  claim: 'From an empty home a cluster is ready within 60 s, and the tour passes, with each source of Redis.',
  suites: ['start', 'tour'],
  minutesMax: 20,
};
