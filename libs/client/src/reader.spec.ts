import { PartitaError } from '@partita/domain';
import { ConsumedRecord, GroupServiceService, ServiceKind, TopicRoute } from '@partita/protocol';
import type { OffsetSpec, ReadRecordsRequest } from '@partita/protocol';
import { unary } from '@partita/rpc/server';
import { afterEach, describe, expect, test } from 'vitest';
import { connect } from './index.ts';
import type { ReadOptions, ReceivedRecord } from './index.ts';
import { closeAll, closeLater, listen, part, SpecDirectory } from './testing/loopback.ts';

afterEach(closeAll);

/** Offsets held by each partition: `ends[partition]` records from 0. */
async function start(ends: number[], options: { failures?: number } = {}) {
  const requests: ReadRecordsRequest[] = [];
  let failures = options.failures ?? 0;
  const directory = new SpecDirectory();
  const { address } = await listen([
    directory.part,
    part(GroupServiceService, {
      readRecords: unary(async (request) => {
        requests.push(request);
        if (failures-- > 0) throw new PartitaError('LEADER_NOT_AVAILABLE', 'electing', {}, { retryAfterMs: 1 });
        const highWatermark = ends[request.partition] ?? 0;
        const from = startOf(request.start, highWatermark);
        if (from > highWatermark) throw new PartitaError('OFFSET_OUT_OF_RANGE', 'no such offset');
        if (from === highWatermark && request.maxWaitMs > 0) await new Promise((resolve) => setTimeout(resolve, 20));
        const to = Math.min(highWatermark, from + request.maxRecords, Number(request.endOffset ?? highWatermark));
        const records = Array.from({ length: Math.max(0, to - from) }, (_, index) =>
          ConsumedRecord.fromPartial({ offset: BigInt(from + index), record: {} }),
        );
        const endReached = request.endOffset !== undefined && BigInt(to) >= request.endOffset;
        return {
          records,
          nextOffset: BigInt(Math.max(from, to)),
          highWatermark: BigInt(highWatermark),
          logStartOffset: 0n,
          endReached,
        };
      }),
    }),
  ]);
  directory.add(ServiceKind.SERVICE_KIND_CONSUMER_GROUP, address);
  directory.routes = [TopicRoute.fromPartial({ topic: 't', partitions: ends.map((_, partition) => ({ partition })) })];
  const client = await connect({ servers: [address] });
  closeLater(() => client.close());
  const read = (readOptions: Partial<ReadOptions> = {}) => client.read({ topic: 't', ...readOptions });
  return { requests, ends, read };
}

function startOf(spec: OffsetSpec | undefined, highWatermark: number): number {
  const position = spec?.position;
  if (position?.$case === 'offset') return Number(position.offset);
  return position?.$case === 'latest' ? highWatermark : 0;
}

async function all(records: AsyncIterable<ReceivedRecord>): Promise<string[]> {
  const names: string[] = [];
  for await (const record of records) names.push(`${record.partition}:${record.offset}`);
  return names;
}

describe('read', () => {
  test('gives every record that is there, each partition in order, and ends', async () => {
    const { read } = await start([2500, 3, 0]);
    const names = await all(read());
    expect(names.length).toBe(2503);
    for (const partition of [0, 1]) {
      const own = names.filter((name) => name.startsWith(`${partition}:`)).map((name) => Number(name.slice(2)));
      expect(own).toEqual([...own].sort((left, right) => left - right));
    }
  });

  test('reads one partition from an offset to another', async () => {
    const { read } = await start([10, 10]);
    expect(await all(read({ partition: 1, from: 4n, to: 6n }))).toEqual(['1:4', '1:5']);
  });

  test('stops after maxRecords', async () => {
    const { read, requests } = await start([10, 10]);
    expect((await all(read({ maxRecords: 3, follow: true }))).length).toBe(3);
    expect(requests[0]?.maxRecords).toBe(3);
  });

  test('follows what comes later until its signal', async () => {
    const { read, ends } = await start([1, 0]);
    const stop = new AbortController();
    const names: string[] = [];
    for await (const record of read({ follow: true, signal: stop.signal })) {
      names.push(`${record.partition}:${record.offset}`);
      if (names.length === 1) ends[1] = 1;
      else stop.abort();
    }
    expect(names).toEqual(['0:0', '1:0']);
  });

  test('reads more partitions than it asks for at once', async () => {
    const { read } = await start(Array.from({ length: 40 }, () => 2));
    expect((await all(read())).length).toBe(80);
    expect((await all(read({ follow: true, maxRecords: 80 }))).length).toBe(80);
  });

  test('goes on after failures that pass', async () => {
    const { read } = await start([2], { failures: 3 });
    expect(await all(read())).toEqual(['0:0', '0:1']);
  });

  test('says that a topic does not exist, and that an offset is out of range', async () => {
    const { read } = await start([2]);
    await expect(all(read({ topic: 'x' }))).rejects.toMatchObject({ reason: 'TOPIC_NOT_FOUND' });
    await expect(all(read({ from: 9n }))).rejects.toMatchObject({ reason: 'OFFSET_OUT_OF_RANGE' });
  });
});
