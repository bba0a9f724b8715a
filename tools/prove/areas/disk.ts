import type { Area } from '../area.ts';

export const disk: Area = {
  name: 'disk',
  claim:
    'On a disk that loses power at any call, fails, lies and flips bits, nothing acknowledged is lost and no wrong byte is served.',
  suites: [
    'tools/sim/log.spec.ts',
    'tools/sim/journal.spec.ts',
    'tools/sim/every-call.spec.ts',
    'tools/sim/mutants.spec.ts',
  ],
  minutesMax: 40,
};
