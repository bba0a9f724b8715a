import { QUOTA_COUNT_MAX } from '@partita/domain';
import type { Quota } from '@partita/domain';
import { expect, it } from 'vitest';
import { ClusterState } from './cluster-state.ts';
import { changeQuota } from './quotas.ts';

function quota(topic: string, produceBytesPerSecond: number | undefined): Quota {
  return { clientId: '', topic, produceBytesPerSecond, consumeBytesPerSecond: undefined };
}

function change(state: ClusterState, wanted: Quota): void {
  for (const record of changeQuota(state, wanted).records) state.apply(record);
}

it('quotas are at most as many as the limit; those that are there can be changed and removed', () => {
  const state = new ClusterState();
  const quotas = Array.from({ length: QUOTA_COUNT_MAX }, (_, index) => quota(`t${index}`, 2048));
  state.apply({ type: 'settings_put', settings: { ...state.settings(), version: 1n, quotas } });
  expect(() => changeQuota(state, quota('more', 2048))).toThrow(expect.objectContaining({ reason: 'LIMIT_EXCEEDED' }));
  change(state, quota('t7', 4096));
  expect(state.settings().quotas.find(({ topic }) => topic === 't7')?.produceBytesPerSecond).toBe(4096);
  change(state, quota('t8', undefined));
  change(state, quota('more', 2048));
  expect(state.settings()).toMatchObject({ version: 4n, quotas: { length: QUOTA_COUNT_MAX } });
});
