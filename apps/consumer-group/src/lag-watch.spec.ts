import { PartitaError } from '@partita/domain';
import type { Group, ShardPhase } from '@partita/groups';
import { ListOffsetsResult } from '@partita/protocol';
import { createLogger } from '@partita/runtime';
import { beforeEach, describe, expect, it } from 'vitest';
import { LagWatch } from './lag-watch.ts';
import type { PositionEntry } from './leader-calls.ts';

type Answer = ListOffsetsResult | PartitaError;

/** How far each partition's log goes, by `topicId/partition`; its records were appended at 1000, a byte each. */
let ends: Map<string, bigint>;
let asked: PositionEntry[];
let done: Set<string>;
let groups: Map<string, Group>;
let phase: ShardPhase;
let fault: PartitaError | undefined;
let watch: LagWatch;

const answerTo = ({ topicId, partition, position }: PositionEntry): Answer => {
  if (fault !== undefined) return fault;
  const end = ends.get(`${topicId}/${partition}`) ?? 0n;
  const offset = position.position?.$case === 'offset' ? position.position.offset : 0n;
  const waits = offset < end;
  return ListOffsetsResult.fromPartial({
    offset,
    dataEndOffset: end,
    highWatermark: end,
    bytesToEnd: waits ? end - offset : 0n,
    ...(waits ? { firstAppendTimeMs: 1000n + offset } : {}),
  });
};

const newGroup = (id: string): Group => ({
  id,
  value: undefined,
  members: new Map(),
  held: new Map(),
  offsets: new Map(),
  heldBy: new Map(),
});

function commit(id: string, topicId: string, partition: number, nextOffset: bigint): void {
  const group = groups.get(id) ?? newGroup(id);
  groups.set(id, group);
  const tp = { topicId, partition };
  group.offsets.set(`${topicId}/${partition}`, {
    partition: tp,
    topic: topicId.toUpperCase(),
    nextOffset,
    recordEpoch: 1,
    metadata: '',
    commitTimeMs: 1n,
    resetEpoch: 0,
  });
}

beforeEach(() => {
  ends = new Map();
  asked = [];
  done = new Set();
  groups = new Map();
  phase = 'serving';
  fault = undefined;
  watch = new LagWatch({
    shards: { all: () => [{ owner: { phase, state: groups } }] },
    routes: { table: { topicById: (topicId: string) => ({ topic: topicId.toUpperCase() }) as never } },
    calls: {
      listOffsets: (entries) => {
        asked.push(...entries);
        return Promise.resolve(entries.map(answerTo));
      },
    },
    feeds: { isDone: (group, { topicId, partition }) => done.has(`${group} ${topicId}/${partition}`) },
    logger: createLogger({ service: 'spec', instance: '1', level: 'fatal' }),
  });
});

describe('the lag of groups', () => {
  it('is summed by topic, and is as old as its oldest record', async () => {
    ends.set('a/0', 10n).set('a/1', 10n).set('b/0', 7n);
    commit('g', 'a', 0, 4n);
    commit('g', 'a', 1, 8n);
    commit('g', 'b', 0, 7n);
    await watch.look();
    expect(watch.lagsOf('g')).toEqual([
      { topic: 'A', records: 8, bytes: 8, sinceMs: 1004 },
      { topic: 'B', records: 0, bytes: 0, sinceMs: undefined },
    ]);
    expect(watch.lagsOf('other')).toEqual([]);
  });

  it('is not asked for partitions whose member has committed all that there is', async () => {
    ends.set('a/0', 10n).set('a/1', 3n);
    commit('g', 'a', 0, 10n);
    commit('g', 'a', 1, 1n);
    done.add('g a/0');
    await watch.look();
    expect(asked.map(({ partition }) => partition)).toEqual([1]);
    expect(watch.lagsOf('g')).toEqual([{ topic: 'A', records: 2, bytes: 2, sinceMs: 1001 }]);
  });

  it('stays as it was while a leader does not answer', async () => {
    ends.set('a/0', 10n);
    commit('g', 'a', 0, 4n);
    await watch.look();
    fault = new PartitaError('LEADER_NOT_AVAILABLE', 'gone');
    await watch.look();
    expect(watch.lagsOf('g')).toMatchObject([{ records: 6 }]);
  });

  it('is forgotten with the shard, and with the group', async () => {
    ends.set('a/0', 10n);
    commit('g', 'a', 0, 4n);
    commit('h', 'a', 0, 4n);
    await watch.look();
    groups.delete('g');
    await watch.look();
    expect([watch.lagsOf('g'), watch.lagsOf('h').length]).toEqual([[], 1]);
    phase = 'claiming';
    await watch.look();
    expect(watch.lagsOf('h')).toEqual([]);
  });

  it('is asked for in turn when there are more partitions than one round asks about', async () => {
    for (const id of ['g', 'h', 'i']) for (let number = 0; number < 6000; number += 1) commit(id, 'a', number, 0n);
    ends.set('a/0', 1n);
    await watch.look();
    expect(asked).toHaveLength(6000);
    expect(['g', 'h', 'i'].map((id) => watch.lagsOf(id).length)).toEqual([1, 0, 0]);
    await watch.look();
    await watch.look();
    expect(['g', 'h', 'i'].map((id) => watch.lagsOf(id)[0]?.records)).toEqual([1, 1, 1]);
    expect(asked).toHaveLength(18_000);
  });
});
