import type { Area } from '../area.ts';

export const partitions: Area = {
  name: 'partitions',
  claim:
    'A broker with 10,000 partitions stays below 1 GiB, and serves them all within 20 s of a clean stop and 60 s of kill -9.',
  suites: ['many-partitions'],
  minutesMax: 15,
};
