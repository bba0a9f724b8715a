import { PartitaError } from '@partita/domain';
import {
  BrokerServiceService,
  ClusterServiceService,
  GetClusterResponse,
  GetRoutesResponse,
  ListOffsetsResponse,
  ServiceKind,
} from '@partita/protocol';
import { toRpcStatus } from '@partita/rpc';
import { unary } from '@partita/rpc/server';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { connect } from './index.ts';
import type { Admin } from './index.ts';
import { closeAll, closeLater, listen, part } from './testing/loopback.ts';

afterEach(closeAll);

/** A broker that leads partitions of "t", or says that it does not. */
class SpecBroker {
  address = '';
  asked = 0;
  logStart = 3n;
  readonly highWatermark = 10n;
  /** Thrown, one for each call, before the first success. */
  readonly failures: PartitaError[] = [];

  async start(): Promise<void> {
    const deleteRecords = unary(({ beforeOffset }: { beforeOffset: bigint }) => {
      this.#fail();
      if (beforeOffset > this.highWatermark) throw new PartitaError('OFFSET_OUT_OF_RANGE', 'above the high watermark');
      if (beforeOffset > this.logStart) this.logStart = beforeOffset;
      return { logStartOffset: this.logStart };
    });
    const listOffsets = unary(() => {
      const { logStart: logStartOffset, highWatermark } = this;
      try {
        this.#fail();
      } catch (error) {
        return ListOffsetsResponse.fromPartial({ results: [{ error: toRpcStatus(error) }] });
      }
      return ListOffsetsResponse.fromPartial({ results: [{ offset: 7n, logStartOffset, highWatermark }] });
    });
    ({ address: this.address } = await listen([part(BrokerServiceService, { deleteRecords, listOffsets })]));
  }

  #fail(): void {
    this.asked += 1;
    const failure = this.failures.shift();
    if (failure !== undefined) throw failure;
  }
}

let one: SpecBroker;
let two: SpecBroker;
let leaderId: number;
let routesAsked: number;
let admin: Admin;

beforeEach(async () => {
  one = new SpecBroker();
  two = new SpecBroker();
  await one.start();
  await two.start();
  leaderId = 1;
  routesAsked = 0;
  let address = '';
  const getCluster = unary(() =>
    GetClusterResponse.fromPartial({ endpoints: [{ service: ServiceKind.SERVICE_KIND_COORDINATOR, address }] }),
  );
  const getRoutes = unary(({ topics }: { topics: string[] }) => {
    routesAsked += 1;
    if (topics[0] !== 't') throw new PartitaError('TOPIC_NOT_FOUND', 'no such topic');
    const brokers = [one, two].map((broker, index) => ({ brokerId: index + 1, address: broker.address }));
    const routes = [{ topic: 't', topicId: 'id', partitions: [{ partition: 0, leaderId, leaderEpoch: 1 }] }];
    return GetRoutesResponse.fromPartial({ routes, brokers });
  });
  ({ address } = await listen([part(ClusterServiceService, { getCluster, getRoutes })]));
  const client = await connect({ servers: [address] });
  closeLater(() => client.close());
  ({ admin } = client);
});

function notLeader(address?: string): PartitaError {
  return new PartitaError('NOT_LEADER', 'not here', address === undefined ? {} : { address });
}

describe('a call to a leader', () => {
  test('goes to the broker that leads, and answers the new log start', async () => {
    expect(await admin.deleteRecords('t', 0, 5n)).toBe(5n);
    expect(await admin.deleteRecords('t', 0, 4n)).toBe(5n);
    expect([one.asked, two.asked]).toEqual([2, 0]);
    expect(await admin.listOffset('t', 0, 'latest')).toMatchObject({
      offset: 7n,
      logStartOffset: 5n,
      highWatermark: 10n,
    });
  });

  test('follows the hint of a broker that does not lead, without asking for routes again', async () => {
    one.failures.push(notLeader(two.address));
    expect(await admin.deleteRecords('t', 0, 5n)).toBe(5n);
    expect([one.asked, two.asked, routesAsked]).toEqual([1, 1, 1]);
  });

  test('asks for the routes again when there is no hint, or the hint was wrong', async () => {
    one.failures.push(notLeader(two.address));
    two.failures.push(notLeader(one.address));
    expect(await admin.deleteRecords('t', 0, 5n)).toBe(5n);
    expect([one.asked, two.asked, routesAsked]).toEqual([2, 1, 2]);
    one.failures.push(notLeader());
    await admin.deleteRecords('t', 0, 6n);
    expect([one.asked, routesAsked]).toEqual([4, 4]);
  });

  test('waits while there is no leader', async () => {
    leaderId = 0;
    setTimeout(() => (leaderId = 2), 30);
    expect(await admin.deleteRecords('t', 0, 5n)).toBe(5n);
    expect([one.asked, two.asked]).toEqual([0, 1]);
  });

  test('is tried again after the error of an entry that may pass', async () => {
    one.failures.push(new PartitaError('NOT_YET', 'a new leader', {}, { retryAfterMs: 5 }));
    expect((await admin.listOffset('t', 0, 5n)).offset).toBe(7n);
    expect(one.asked).toBe(2);
  });

  test('fails at once with what is wrong for good', async () => {
    const outOfRange = { reason: 'OFFSET_OUT_OF_RANGE', outcome: 'rejected', retryable: false };
    await expect(admin.deleteRecords('t', 0, 11n)).rejects.toMatchObject(outOfRange);
    one.failures.push(new PartitaError('TOPIC_NOT_FOUND', 'gone'));
    await expect(admin.listOffset('t', 0, 'earliest')).rejects.toMatchObject({ reason: 'TOPIC_NOT_FOUND' });
    expect(one.asked).toBe(2);
    await expect(admin.deleteRecords('t', 7, 1n)).rejects.toMatchObject({ reason: 'PARTITION_NOT_FOUND' });
    await expect(admin.deleteRecords('u', 0, 1n)).rejects.toMatchObject({ reason: 'TOPIC_NOT_FOUND' });
    expect(one.asked).toBe(2);
  });

  test('gives up at its deadline', async () => {
    leaderId = 0;
    const failing = admin.deleteRecords('t', 0, 5n, { deadlineMs: 60 });
    await expect(failing).rejects.toMatchObject({ reason: 'LEADER_NOT_AVAILABLE', retryable: true });
  });
});
