import type { Area } from '../area.ts';

export const redis: Area = {
  name: 'redis',
  claim:
    'Redis may be away for 5 minutes, lose everything, come back old, lie, or be fought over: nothing that is produced or consumed fails, and the directory is what the brokers say again.',
  suites: [
    'redis',
    'redis-duel',
    'libs/metadata-store/src/redis-damage.spec.ts',
    'libs/metadata-store/src/redis-refusals.spec.ts',
  ],
  minutesMax: 45,
};
