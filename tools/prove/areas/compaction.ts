import type { Area } from '../area.ts';

export const compaction: Area = {
  name: 'compaction',
  claim: 'A compacted topic equals its model, and producing is hardly slower while a compaction runs.',
  suites: ['compaction'],
  minutesMax: 20,
};
