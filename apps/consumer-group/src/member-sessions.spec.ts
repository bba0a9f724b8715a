import { apply } from '@partita/groups';
import type { GroupCommand, ShardState, TopicCatalog } from '@partita/groups';
import { createLogger, StateLines, systemTimers } from '@partita/runtime';
import { expect, it } from 'vitest';
import { MemberSessions } from './member-sessions.ts';

const MEMBER = {
  ...{ memberEpoch: 2, instanceId: '', clientId: '', peer: '', topics: [], topicPattern: 'flights-.*' },
  ...{ sessionTimeoutMs: 1000, rebalanceTimeoutMs: 1000, rack: '', capacity: 1, joinTimeMs: 0n, assignor: '' },
};

it('topics that come while a join is on its way to the log are seen once it is there', () => {
  const topics: string[] = [];
  const catalog: TopicCatalog = {
    topic: (name) => (topics.includes(name) ? { topicId: name, partitionCount: 1 } : undefined),
    matching: () => topics,
    has: (topicId) => topics.includes(topicId),
  };
  const state: ShardState = new Map();
  const submitted: GroupCommand[] = [];
  const owner = {
    phase: 'serving' as const,
    state,
    isWriting: true,
    submit: (command: GroupCommand) => {
      submitted.push(command);
      return Promise.resolve({ memberId: '', refusals: [] });
    },
  };
  const logger = createLogger({ service: 'spec', instance: '1', level: 'fatal' });
  const sessions = new MemberSessions(catalog, logger, new StateLines(logger, systemTimers));
  sessions.start(owner);
  topics.push('flights-eu');
  sessions.refresh();
  expect(submitted).toEqual([]);
  const value = { groupEpoch: 2, assignor: 'sticky', createTimeMs: 0n, emptySinceMs: 0n };
  apply(state, { kind: 'group', group: 'g', value });
  apply(state, { kind: 'member', group: 'g', memberId: 'm', value: MEMBER });
  owner.isWriting = false;
  sessions.onChanged(new Set(['g']));
  expect(submitted).toEqual([{ kind: 'refresh', group: 'g' }]);
  sessions.onChanged(new Set(['g']));
  expect(submitted).toHaveLength(1);
});
