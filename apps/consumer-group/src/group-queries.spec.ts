import { CommitOffsetsRequest, GroupServiceService, GroupState } from '@partita/protocol';
import { callUnary } from '@partita/rpc/client';
import { describe, expect, it } from 'vitest';
import { ServiceWorld } from './testing/service-world.ts';

const world = new ServiceWorld();
const { topic, describeGroup, cluster, pool } = world;

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
});
