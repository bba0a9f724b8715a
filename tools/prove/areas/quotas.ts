import type { Area } from '../area.ts';

export const quotas: Area = {
  name: 'quotas',
  claim:
    'A topic and a client get the bytes a second that they are given, by delays and then definite errors; a topic offered ten times its quota moves the p99 of another by less than half.',
  suites: ['quotas'],
  minutesMax: 10,
};
