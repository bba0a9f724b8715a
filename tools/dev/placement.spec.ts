import { describe, expect, it } from 'vitest';
import { placeAdvertised } from './placement.ts';

describe('the processes of a cluster on loopback', () => {
  it('tell clients the addresses that they are given, the others their own', () => {
    const place = placeAdvertised('gateway=127.0.0.1:9000,broker-2=localhost:9002');
    expect(place('gateway').env).toEqual({ PARTITA_ADVERTISE: '127.0.0.1:9000' });
    expect(place('broker-2').env).toEqual({ PARTITA_ADVERTISE: 'localhost:9002' });
    expect(place('broker-1')).toEqual({ host: '127.0.0.1', wrap: [], env: {} });
  });

  it.each(['gateway', 'gateway=', 'redis=127.0.0.1:1', ''])('are refused the addresses "%s"', (text) => {
    expect(() => placeAdvertised(text)).toThrow('expected the name of a process');
  });
});
