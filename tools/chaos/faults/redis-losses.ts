/** Redis that loses what it had. */
import { askRedis } from '@partita/tool-dev/redis-server.ts';
import { REDIS } from '../cluster/launcher-messages.ts';
import type { Fault } from './fault.ts';

const flushed: Fault = {
  name: 'redis-flushed',
  says: 'FLUSHALL',
  needs: [],
  mixes: true,
  inject: async ({ cluster }) => {
    const { address } = await cluster.member(REDIS);
    const { hostname, port } = new URL(`redis://${address}`);
    const answer = await askRedis(Number(port), 'FLUSHALL', hostname);
    return {
      target: answer?.startsWith('+OK') === true ? REDIS : 'nothing: Redis does not answer',
      heal: async () => undefined,
    };
  },
};

export const REDIS_LOSSES: readonly Fault[] = [flushed];
