import { ClusterServiceService, GetClusterResponse, ServiceKind, Topic, TopicServiceService } from '@partita/protocol';
import { PartitaError } from '@partita/domain';
import { unary } from '@partita/rpc/server';
import { afterEach, describe, expect, test } from 'vitest';
import { connect } from './index.ts';
import { closeAll, closeLater, listen, part, SpecDirectory } from './testing/loopback.ts';

afterEach(closeAll);

/** An address where nothing listens. */
const NOBODY = '127.0.0.1:1';

function coordinator(directory: SpecDirectory, name: string) {
  return listen([
    directory.part,
    part(TopicServiceService, { getTopic: unary(({ topic }) => ({ topic: topicOf(`${topic}@${name}`) })) }),
  ]);
}

function topicOf(name: string) {
  return Topic.fromPartial({ name, partitionCount: 1 });
}

async function connected(servers: readonly string[]) {
  const client = await connect({ servers });
  closeLater(() => client.close());
  return client;
}

describe('connect', () => {
  test('takes the address of any service and tries the next when one is dead', async () => {
    const directory = new SpecDirectory();
    const { address } = await coordinator(directory, 'one');
    directory.add(ServiceKind.SERVICE_KIND_COORDINATOR, address);
    const client = await connected([NOBODY, address]);
    expect(client.cluster?.clusterId).toBe('spec');
    expect((await client.admin.getTopic('flights')).name).toBe('flights@one');
  });

  test('names every address that was tried when none answers', async () => {
    const failing = connect({ servers: [NOBODY, '127.0.0.1:2'] });
    await expect(failing).rejects.toMatchObject({
      reason: 'SERVICE_UNREACHABLE',
      outcome: 'rejected',
      retryable: true,
    });
    await expect(failing).rejects.toThrow(/127\.0\.0\.1:1.*127\.0\.0\.1:2/);
  });

  test('uses whoever answers although its directory does not list it yet', async () => {
    const { address } = await listen([
      part(ClusterServiceService, {
        getCluster: unary(() => GetClusterResponse.fromPartial({ service: ServiceKind.SERVICE_KIND_COORDINATOR })),
      }),
      part(TopicServiceService, { getTopic: unary(() => ({ topic: topicOf('early') })) }),
    ]);
    const client = await connected([address]);
    expect((await client.admin.getTopic('early')).name).toBe('early');
  });
});

describe('calls', () => {
  test('go to the active coordinator, and to the new one after it died', async () => {
    const directory = new SpecDirectory();
    const one = await coordinator(directory, 'one');
    const two = await coordinator(directory, 'two');
    directory.add(ServiceKind.SERVICE_KIND_COORDINATOR, one.address, true);
    directory.add(ServiceKind.SERVICE_KIND_COORDINATOR, two.address);
    const client = await connected([one.address]);
    expect((await client.admin.getTopic('a')).name).toBe('a@one');
    directory.endpoints.splice(0, 2);
    directory.add(ServiceKind.SERVICE_KIND_COORDINATOR, two.address, true);
    one.server.close();
    expect((await client.admin.getTopic('b')).name).toBe('b@two');
  });

  test('are tried again while the service is not ready, with the same request id', async () => {
    const ids: string[] = [];
    const directory = new SpecDirectory();
    const { address } = await listen([
      directory.part,
      part(TopicServiceService, {
        createTopic: unary(({ topic, requestId }) => {
          ids.push(requestId);
          if (ids.length < 3)
            throw new PartitaError('REBUILDING', 'the directory is being rebuilt', {}, { retryAfterMs: 5 });
          return { topic };
        }),
      }),
    ]);
    directory.add(ServiceKind.SERVICE_KIND_COORDINATOR, address);
    const client = await connected([address]);
    const topic = await client.admin.createTopic({
      name: 'flights',
      partitionCount: 6,
      settings: { retentionBytes: -1n },
    });
    expect(topic.partitionCount).toBe(6);
    expect(topic.settings?.retentionBytes).toBe(-1n);
    expect(new Set(ids).size).toBe(1);
    expect(ids[0]).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
  });

  test('that are refused for good fail at once, with reason, outcome and metadata', async () => {
    let calls = 0;
    const directory = new SpecDirectory();
    const { address } = await listen([
      directory.part,
      part(TopicServiceService, {
        getTopic: unary(() => {
          calls += 1;
          throw new PartitaError('TOPIC_NOT_FOUND', 'no such topic', { topic: 'x' });
        }),
      }),
    ]);
    directory.add(ServiceKind.SERVICE_KIND_COORDINATOR, address);
    const client = await connected([address]);
    const error = { reason: 'TOPIC_NOT_FOUND', outcome: 'rejected', retryable: false, metadata: { topic: 'x' } };
    await expect(client.admin.getTopic('x')).rejects.toMatchObject(error);
    expect(calls).toBe(1);
  });

  test('that list come page by page as one iterable', async () => {
    const directory = new SpecDirectory();
    const { address } = await listen([
      directory.part,
      part(TopicServiceService, {
        listTopics: unary(({ pageToken }) =>
          pageToken === ''
            ? { topics: [topicOf('a'), topicOf('b')], nextPageToken: 'b' }
            : { topics: [topicOf('c')], nextPageToken: '' },
        ),
      }),
    ]);
    directory.add(ServiceKind.SERVICE_KIND_COORDINATOR, address);
    const client = await connected([address]);
    const names: string[] = [];
    for await (const topic of client.admin.listTopics()) names.push(topic.name);
    expect(names).toEqual(['a', 'b', 'c']);
  });

  test('that change settings name them in a field mask, also those that go back to the default', async () => {
    let mask: readonly string[] | undefined;
    const directory = new SpecDirectory();
    const { address } = await listen([
      directory.part,
      part(TopicServiceService, {
        updateTopic: unary(({ topic, updateMask }) => {
          mask = updateMask;
          return { topic };
        }),
      }),
    ]);
    directory.add(ServiceKind.SERVICE_KIND_COORDINATOR, address);
    const client = await connected([address]);
    await client.admin.updateTopic('flights', { settings: { retentionBytes: 1n, minInSyncReplicas: undefined } });
    expect(mask).toEqual(['settings.retention_bytes', 'settings.min_in_sync_replicas']);
  });
});
