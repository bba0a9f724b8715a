import type { Area } from '../area.ts';

export const rolling: Area = {
  name: 'rolling',
  claim:
    'Every service restarted under load, leaders moved by wish and off brokers that stop: no error to whoever retries, nothing lost or doubled.',
  suites: ['rolling-restart', 'apps/coordinator/src/elections/leader-moves.spec.ts'],
  minutesMax: 30,
};
