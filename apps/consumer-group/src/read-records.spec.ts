import { GroupServiceService, ReadRecordsRequest } from '@partita/protocol';
import { callUnary } from '@partita/rpc/client';
import { describe, expect, it } from 'vitest';
import { ServiceWorld } from './testing/service-world.ts';

const world = new ServiceWorld();
const { topic, cluster, pool } = world;

describe('ReadRecords', () => {
  const read = (request: Parameters<typeof ReadRecordsRequest.fromPartial>[0]) =>
    callUnary(pool.client(world.address), GroupServiceService.readRecords, ReadRecordsRequest.fromPartial(request), {
      deadlineMs: 8000,
    });

  it('reads up to a bound and says where to go on', async () => {
    const name = topic(1);
    cluster.produce(name, 0, ['a', 'b', 'c']);
    cluster.produce(name, 0, ['d']);
    const first = await read({ topic: name, maxRecords: 2 });
    expect(first).toMatchObject({ nextOffset: 2n, highWatermark: 4n, endReached: false });
    const rest = await read({ topic: name, start: { position: { $case: 'offset', offset: 2n } }, endOffset: 3n });
    expect(rest.records.map((r) => r.offset)).toEqual([2n]);
    expect(rest.endReached).toBe(true);
    const all = await read({ topic: name, maxBytes: 1 });
    expect(all.records).toHaveLength(1);
  });

  it('waits for a first record, and not longer than asked', async () => {
    const name = topic(1);
    const waiting = read({ topic: name, maxWaitMs: 5000 });
    setTimeout(() => cluster.produce(name, 0, ['late']), 100);
    expect((await waiting).records).toHaveLength(1);
    const empty = await read({ topic: name, start: { position: { $case: 'latest', latest: true } }, maxWaitMs: 50 });
    expect(empty.records).toEqual([]);
  });

  it.each([
    ['an unknown topic', { topic: 'nowhere' }, 'TOPIC_NOT_FOUND'],
    ['an unknown partition', { partition: 9 }, 'PARTITION_NOT_FOUND'],
    ['a negative count', { maxRecords: -1 }, 'INVALID_REQUEST'],
    ['too many bytes', { maxBytes: 9_000_000 }, 'INVALID_REQUEST'],
    [
      'an offset out of range',
      { start: { position: { $case: 'offset' as const, offset: 99n } } },
      'OFFSET_OUT_OF_RANGE',
    ],
  ])('refuses %s', async (_, request, reason) => {
    await expect(read({ topic: topic(1), ...request })).rejects.toMatchObject({ reason });
  });
});
