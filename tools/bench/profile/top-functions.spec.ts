import { describe, expect, it } from 'vitest';
import { topFunctions } from './top-functions.ts';
import type { CpuProfile } from './top-functions.ts';

function node(id: number, functionName: string, url = '', lineNumber = -1): CpuProfile['nodes'][number] {
  return { id, callFrame: { functionName, url, lineNumber } };
}

const profile: CpuProfile = {
  nodes: [
    node(1, '(root)'),
    node(2, '(idle)'),
    node(3, '(garbage collector)'),
    node(4, '#send', 'file:///home/me/partita/libs/rpc/src/client/stream.ts', 11),
    // The same function, called from elsewhere.
    node(5, '#send', 'file:///home/me/partita/libs/rpc/src/client/stream.ts', 11),
    node(6, '', 'file:///home/me/partita/node_modules/@grpc/grpc-js/build/src/call.js', 99),
    node(7, 'writev', 'node:internal/stream_base_commons', 3),
  ],
  samples: [2, 4, 5, 3, 6, 7, 4],
  timeDeltas: [90_000, 1000, 2000, 2500, 2000, 500, 2000],
};

describe('the functions of a profile', () => {
  it('are summed over the places that they are called from, without the time of idling', () => {
    const { busyMs, functions } = topFunctions(profile, 3);
    expect(busyMs).toBe(10);
    expect(functions).toEqual([
      { name: '#send', place: 'libs/rpc/src/client/stream.ts:12', selfMs: 5, share: 0.5 },
      { name: '(garbage collector)', place: '', selfMs: 2.5, share: 0.25 },
      { name: 'anonymous', place: '@grpc/grpc-js/build/src/call.js:100', selfMs: 2, share: 0.2 },
    ]);
  });
});
