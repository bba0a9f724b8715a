import { CommitOffsetsRequest, GroupServiceService, GroupState } from '@partita/protocol';
import { callUnary } from '@partita/rpc/client';
import { describe, expect, it } from 'vitest';
import { ServiceWorld } from './testing/service-world.ts';

const world = new ServiceWorld();
const { member, topic, describeGroup, cluster, pool } = world;

describe('groups from outside', () => {
  it('are committed to, listed, described with their lag, and deleted', async () => {
    const name = topic(1);
    cluster.produce(name, 0, ['a', 'b', 'c']);
    const client = pool.client(world.address);
    const request = CommitOffsetsRequest.fromPartial({
      group: 'outside',
      offsets: [{ topic: name, partition: 0, nextOffset: 1n, metadata: 'm' }],
    });
    expect(await callUnary(client, GroupServiceService.commitOffsets, request)).toEqual({ failures: [] });
    const described = await describeGroup('outside');
    expect(described.partitions[0]).toMatchObject({ nextOffset: 1n, highWatermark: 3n, lagRecords: 2n });
    expect(described).toMatchObject({
      ownerAddress: world.address,
      assignor: 'sticky',
      summary: { state: GroupState.GROUP_STATE_EMPTY },
    });
    const seen: string[] = [];
    for (let pageToken = ''; ;) {
      const page = await callUnary(client, GroupServiceService.listGroups, { pageSize: 1, pageToken, shards: [] });
      seen.push(...page.groups.map((group) => group.group));
      pageToken = page.nextPageToken;
      if (pageToken === '') break;
    }
    expect(seen).toContain('outside');
    expect(seen).toEqual([...new Set(seen)].sort());
    await callUnary(client, GroupServiceService.deleteGroup, { group: 'outside' });
    await expect(describeGroup('outside')).rejects.toMatchObject({ reason: 'GROUP_NOT_FOUND' });
    await expect(
      callUnary(client, GroupServiceService.listGroups, { pageSize: 1, pageToken: '%', shards: [] }),
    ).rejects.toMatchObject({ reason: 'INVALID_PAGE_TOKEN' });
  });

  it('show their lag in records, bytes and age, asking each leader once', async () => {
    const name = topic(8);
    for (let partition = 0; partition < 8; partition += 1) {
      cluster.produce(name, partition, ['a'], 60_000);
      cluster.produce(name, partition, ['b', 'c'], 5000);
    }
    const offsets = [0n, 1n, 3n].map((nextOffset, partition) => ({ topic: name, partition, nextOffset }));
    const request = CommitOffsetsRequest.fromPartial({ group: 'lags', offsets });
    await callUnary(pool.client(world.address), GroupServiceService.commitOffsets, request);
    const before = cluster.listOffsetsCallCount;
    const { partitions } = await describeGroup('lags');
    expect(cluster.listOffsetsCallCount - before).toBe(1);
    expect(partitions.map(({ lagRecords }) => lagRecords)).toEqual([3n, 2n, 0n]);
    expect(partitions[0]!.lagBytes).toBeGreaterThan(partitions[1]!.lagBytes);
    expect(partitions[2]).toMatchObject({ lagBytes: 0n });
    expect(partitions[2]?.lagAge).toBeUndefined();
    expect(Number(partitions[0]?.lagAge?.seconds)).toBeGreaterThanOrEqual(60);
    expect(Number(partitions[1]?.lagAge?.seconds)).toBeLessThan(30);
  });

  it('find the starts of all partitions with one call to their leader', async () => {
    const name = topic(16);
    const before = cluster.listOffsetsCallCount;
    const one = member('starts', [name]);
    await one.until(() => one.partitions.length === 16);
    expect(cluster.listOffsetsCallCount - before).toBe(1);
  });
});
