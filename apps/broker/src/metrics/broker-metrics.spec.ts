/** What the broker's endpoint says, against what was really done. */
import { randomBytes } from 'node:crypto';
import { BatchBuilder, CODEC_NONE } from '@partita/batch';
import { Acks, BrokerServiceService, FlushMode, TopicConfig } from '@partita/protocol';
import { openBidi } from '@partita/rpc/client';
import { uuidV7 } from '@partita/runtime';
import { NO_METRICS } from '@partita/telemetry';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { knownTopic } from '../topic-settings.ts';
import { batchOf, entryFor, reasonOf, TestBroker, wanted } from '../testing/broker.fixture.ts';
import { BrokerMetrics } from './broker-metrics.ts';
import { ReplicaSet } from '../testing/replica-set.fixture.ts';

const metricsListen = { host: '127.0.0.1', port: 0 };
const soon = { timeout: 8000, interval: 50 };
const nothing = () => Promise.resolve();
let stop: () => Promise<void> = nothing;
afterEach(async () => {
  await stop();
  stop = nothing;
});

async function startOne(overrides: Parameters<typeof TestBroker.start>[1] = {}): Promise<TestBroker> {
  const broker = await TestBroker.start(undefined, { metricsListen, ...overrides });
  stop = async () => {
    await broker.stop();
    await broker.remove();
  };
  return broker;
}

async function startSet(minInSync: number): Promise<ReplicaSet> {
  const set = await ReplicaSet.start(3, minInSync);
  stop = () => set.stop();
  return set;
}

function sum(scraped: ReadonlyMap<string, number>, name: string): number {
  return [...scraped].filter(([key]) => key.split('{')[0] === name).reduce((total, [, value]) => total + value, 0);
}

describe('the metrics of a broker', () => {
  it('count appends, writes and calls as they were', async () => {
    const broker = await startOne();
    const topic = await broker.createTopic('flights');
    await broker.elect(topic, 1);
    const batches = [batchOf('a', 'b'), batchOf('c'), batchOf('d', 'e', 'f')];
    const bytes = batches.reduce((total, { length }) => total + length, 0);
    for (const [index, batch] of batches.entries()) {
      await broker.appendOk(entryFor('flights', batch, { acks: index === 0 ? Acks.ACKS_LEADER : Acks.ACKS_ALL }));
    }
    const [refused] = await broker.append(entryFor('nowhere', batchOf('x')));
    expect(reasonOf(refused)).toBe('TOPIC_NOT_FOUND');
    const scraped = await broker.scrape();
    expect(Object.fromEntries(scraped)).toMatchObject({
      'partita_broker_append_records_total{topic="flights"}': 6,
      'partita_broker_append_batches_total{topic="flights"}': 3,
      'partita_broker_append_bytes_total{topic="flights"}': bytes,
      'partita_broker_append_errors_total{reason="TOPIC_NOT_FOUND"}': 1,
      'partita_broker_append_duration_seconds_count{acks="leader"}': 1,
      'partita_broker_append_duration_seconds_count{acks="all"}': 2,
      'partita_broker_partitions{role="leader"}': 1,
      'partita_broker_partitions{role="follower"}': 0,
      partita_broker_partitions_under_replicated: 0,
      partita_broker_partitions_damaged: 0,
      'partita_broker_queue_bytes{queue="append"}': 0,
      'partita_broker_leader_changes_total{change="began"}': 1,
      'partita_broker_leader_changes_total{change="ended"}': 0,
      'partita_rpc_server_duration_seconds_count{method="partita.v1.BrokerService/Append",code="OK"}': 4,
      partita_rpc_server_calls: 0,
      // The three batches, and the one that begins the epoch.
      partita_broker_log_write_batches_sum: 4,
    });
    const writes = scraped.get('partita_broker_log_write_duration_seconds_count{flush="fsync"}') ?? 0;
    expect(writes).toBeGreaterThan(0);
    expect(writes).toBeLessThanOrEqual(4);
    expect(scraped.get('partita_broker_log_write_bytes_count')).toBe(writes);
    expect(scraped.get('partita_broker_log_write_bytes_sum')).toBeGreaterThan(bytes);
    const appendSeconds = sum(scraped, 'partita_broker_append_duration_seconds_sum');
    expect(appendSeconds).toBeGreaterThan(0);
    expect(sum(scraped, 'partita_broker_commit_duration_seconds_count')).toBe(writes);
    expect(scraped.get('partita_broker_data_used_bytes')).toBeGreaterThanOrEqual(bytes);
    expect(scraped.get('partita_broker_data_free_bytes')).toBeGreaterThan(1e6);
    expect(sum(scraped, 'partita_partition_log_end')).toBe(0);
  });

  it('tell writes without a sync apart', async () => {
    const broker = await startOne();
    const topic = await broker.createTopic('flights', { flush: FlushMode.FLUSH_MODE_OS });
    await broker.elect(topic, 1);
    await broker.appendOk(entryFor('flights', batchOf('a')));
    const scraped = await broker.scrape();
    expect(scraped.get('partita_broker_log_write_duration_seconds_count{flush="os"}')).toBeGreaterThan(0);
    expect(scraped.get('partita_broker_log_write_duration_seconds_count{flush="fsync"}')).toBe(0);
  });

  it('count a batch that came twice once, and say that it came again', async () => {
    const broker = await startOne();
    const topic = await broker.createTopic('flights');
    await broker.elect(topic, 1);
    const builder = new BatchBuilder();
    builder.tryAdd({ key: undefined, value: randomBytes(4), headers: [], timestampMs: BigInt(Date.now()) });
    const producerId = Buffer.from(uuidV7(Date.now()).replaceAll('-', ''), 'hex');
    const batch = builder.build({ codec: CODEC_NONE, producerId, producerEpoch: 0, firstSequence: 0n });
    for (const duplicate of [false, true]) {
      expect(await broker.appendOk(entryFor('flights', Buffer.from(batch)))).toMatchObject({ duplicate });
    }
    const scraped = await broker.scrape();
    expect(scraped.get('partita_broker_append_batches_total{topic="flights"}')).toBe(1);
    expect(scraped.get('partita_broker_sequence_duplicates_total')).toBe(1);
  });

  it('count what readers are given, by call and by stream', async () => {
    const broker = await startOne();
    const topic = await broker.createTopic('flights');
    await broker.elect(topic, 1);
    const batches = [batchOf('a', 'b'), batchOf('c', 'd', 'e')];
    for (const batch of batches) await broker.appendOk(entryFor('flights', batch));
    const { recordBatches } = await broker.fetch({ topic: 'flights' });
    const read = await broker.scrape();
    // What begins the epoch is a batch of one record, too.
    expect(Object.fromEntries(read)).toMatchObject({
      'partita_broker_fetch_records_total{topic="flights"}': 6,
      'partita_broker_fetch_batches_total{topic="flights"}': 3,
      'partita_broker_fetch_bytes_total{topic="flights"}': recordBatches.length,
    });
    let streamed = 0;
    const stream = openBidi(broker.client, BrokerServiceService.fetchStream, {
      onMessage: ({ message }) => {
        if (message?.$case === 'data') streamed += message.data.partition?.recordBatches.length ?? 0;
      },
      onClose: () => undefined,
    });
    stream.send({ message: { $case: 'initial', initial: { credit: { bytes: 1_000_000n } } } });
    stream.send({ message: { $case: 'start', start: { startId: 1n, partitions: [wanted({ topic: 'flights' })] } } });
    await vi.waitFor(() => expect(streamed).toBe(recordBatches.length), soon);
    const both = await broker.scrape();
    expect(both.get('partita_broker_fetch_records_total{topic="flights"}')).toBe(12);
    expect(both.get('partita_broker_fetch_bytes_total{topic="flights"}')).toBe(2 * recordBatches.length);
    expect(both.get('partita_rpc_server_streams{method="partita.v1.BrokerService/FetchStream"}')).toBe(1);
    stream.cancel();
  });

  it('have series by partition when they are asked for', async () => {
    const broker = await startOne({ metricsPartitions: true });
    const topic = await broker.createTopic('flights', { partitions: 2 });
    await broker.elect(topic, 1);
    const ack = await broker.appendOk(entryFor('flights', batchOf('a', 'b'), { partition: 1 }));
    const scraped = await broker.scrape();
    expect(Object.fromEntries(scraped)).toMatchObject({
      'partita_partition_log_end{topic="flights",partition="0"}': 1,
      'partita_partition_log_end{topic="flights",partition="1"}': Number(ack.baseOffset) + 2,
      'partita_partition_high_watermark{topic="flights",partition="1"}': Number(ack.baseOffset) + 2,
      'partita_partition_log_start{topic="flights",partition="1"}': 0,
      'partita_partition_in_sync_replicas{topic="flights",partition="1"}': 1,
      'partita_partition_replication_lag{topic="flights",partition="1"}': 0,
    });
    expect(scraped.get('partita_partition_size_bytes{topic="flights",partition="1"}')).toBeGreaterThan(0);
  });
});

describe('the metrics of a replica set', () => {
  it('show what is replicated, and what it lacks', async () => {
    const set = await startSet(2);
    await set.elect([1, 2, 3]);
    for (let index = 0; index < 5; index += 1) await set.broker(1).appendOk(entryFor(set.topic, batchOf(`v${index}`)));
    await set.untilInSync(1, 2, 3);
    await set.untilEqual([1, 2, 3], 6n);
    const [leader, second, third] = await Promise.all([1, 2, 3].map((id) => set.broker(id).scrape()));
    const sent = leader?.get('partita_broker_replication_sent_bytes_total') ?? 0;
    expect(sent).toBeGreaterThan(5 * batchOf('v0').length);
    const received = 'partita_broker_replication_received_bytes_total';
    expect((second?.get(received) ?? 0) + (third?.get(received) ?? 0)).toBe(sent);
    expect(second?.get('partita_broker_partitions{role="follower"}')).toBe(1);
    expect(leader?.get('partita_broker_partitions_under_replicated')).toBe(0);
    expect(leader?.get('partita_broker_coordinator_connected')).toBe(1);
    expect(leader?.get('partita_broker_commit_duration_seconds_count')).toBeGreaterThan(0);
    expect(leader?.get('partita_broker_commit_duration_seconds_sum')).toBeGreaterThan(0);
    expect(second?.get('partita_broker_commit_duration_seconds_count')).toBe(0);

    await set.broker(3).stop();
    await set.untilInSync(1, 2);
    const less = await set.broker(1).scrape();
    expect(less.get('partita_broker_partitions_under_replicated')).toBe(1);
    expect(less.get('partita_broker_partitions_below_min_in_sync')).toBe(0);
    await set.broker(2).stop();
    await set.untilInSync(1);
    const least = await set.broker(1).scrape();
    expect(least.get('partita_broker_partitions_below_min_in_sync')).toBe(1);
    for (const id of [2, 3]) await set.startBroker(id, set.broker(id).dir);
  });

  it('count leaderships that begin and end', async () => {
    const set = await startSet(2);
    await set.elect([1, 2, 3]);
    await set.untilInSync(1, 2, 3);
    await set.elect([2, 1, 3]);
    await set.untilInSync(1, 2, 3);
    const [first, second] = await Promise.all([1, 2].map((id) => set.broker(id).scrape()));
    const changes = (scraped: ReadonlyMap<string, number> | undefined) =>
      ['began', 'ended'].map((change) => scraped?.get(`partita_broker_leader_changes_total{change="${change}"}`));
    expect(changes(first)).toEqual([1, 1]);
    expect(changes(second)).toEqual([1, 0]);
    expect(first?.get('partita_broker_partitions{role="follower"}')).toBe(1);
  });
});

it('without metrics nothing is recorded, and no clock is read', () => {
  const clock = { monotonicMs: () => expect.unreachable('a clock was read'), wallMs: () => 0 };
  const metrics = new BrokerMetrics(NO_METRICS, clock);
  const config = TopicConfig.fromPartial({ topic: 'flights', settings: {} });
  const topic = knownTopic(config, 1024 * 1024);
  const beganAtMs = metrics.now();
  metrics.appended(topic, entryFor('flights', batchOf('a')), 1, beganAtMs);
  metrics.refused('NOT_LEADER');
  // No batch at all: it is not even looked at.
  metrics.fetched(topic, new Uint8Array(3));
});
