import { OFFSET_EXPIRY_MS } from '@partita/domain';
import { apply } from '@partita/groups';
import type { GroupCommand, ShardState } from '@partita/groups';
import { Topic } from '@partita/protocol';
import { createLogger } from '@partita/runtime';
import { expect, it } from 'vitest';
import { OffsetExpiry } from './offset-expiry.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const logger = createLogger({ service: 'test', instance: 't', level: 'silent' });

function stateWith(topicIds: readonly string[]): ShardState {
  const state: ShardState = new Map();
  const value = { groupEpoch: 2, assignor: 'sticky', createTimeMs: 0n, emptySinceMs: 0n };
  apply(state, { kind: 'group', group: 'g', value });
  for (const topicId of topicIds) {
    const offset = { nextOffset: 1n, recordEpoch: 0, metadata: '', commitTimeMs: 0n, topic: topicId, resetEpoch: 0 };
    apply(state, { kind: 'offset', group: 'g', partition: { topicId, partition: 0 }, value: offset });
  }
  return state;
}

it('drops offsets of empty groups after a week, but not before the topic forgets its records, nor while that is unknown', async () => {
  const retentions: Record<string, string> = { short: '1d', long: '30d', forever: 'unlimited' };
  const state = stateWith(['short', 'long', 'forever', 'unasked', 'gone']);
  const commands: GroupCommand[] = [];
  const owner = {
    phase: 'serving' as const,
    state,
    submit: (command: GroupCommand) => {
      commands.push(command);
      return Promise.resolve({ memberId: '', refusals: [] });
    },
  };
  let nowMs = OFFSET_EXPIRY_MS - 1;
  let complete = true;
  const table = {
    get complete() {
      return complete;
    },
    topicById: (id: string) => (id === 'gone' ? undefined : ({ topicId: id, topic: id } as never)),
  };
  const expiry = new OffsetExpiry({
    shards: { all: () => [{ owner }] },
    routes: { table },
    topic: (name) => {
      const value = retentions[name];
      if (value === undefined) return Promise.reject(new Error('nobody answers'));
      return Promise.resolve(Topic.fromPartial({ effectiveSettings: [{ name: 'retention_age', value }] }));
    },
    logger,
    wallMs: () => nowMs,
  });
  const expired = (): string[] =>
    commands.flatMap((command) => (command.kind === 'expire' ? command.partitions.map(({ topicId }) => topicId) : []));

  await expiry.look();
  expect(commands).toEqual([]);
  nowMs = OFFSET_EXPIRY_MS + DAY_MS;
  complete = false;
  await expiry.look();
  expect(commands).toEqual([]);
  complete = true;
  await expiry.look();
  expect(expired()).toEqual(['short', 'gone']);
  commands.length = 0;
  nowMs = 31 * DAY_MS;
  await expiry.look();
  expect(expired()).toEqual(['short', 'long', 'gone']);
});
