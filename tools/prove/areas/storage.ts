import type { Area } from '../area.ts';

export const storage: Area = {
  name: 'storage',
  claim:
    'Killed, cut from power, on a full, failing or damaged disk: what was acknowledged is there, or its loss is reported.',
  suites: ['storage-kill', 'power-loss', 'disk-full', 'fsync-error', 'damage'],
  minutesMax: 60,
};
