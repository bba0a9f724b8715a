import { afterEach, describe, expect, it } from 'vitest';
import { PEER_CALL_ENTRY_COUNT_MAX } from '@partita/domain';
import { eventually, SpecCluster } from '../testing/spec-cluster.ts';
import type { SpecBroker } from '../testing/spec-broker.ts';

const CALL_COUNT = 5;
const PARTITION_COUNT = CALL_COUNT * PEER_CALL_ENTRY_COUNT_MAX;
let cluster: SpecCluster;

afterEach(() => cluster.stop());

async function brokerWithMany(): Promise<SpecBroker> {
  cluster = new SpecCluster();
  await cluster.startCoordinator('--expected-brokers', '1');
  const broker = await cluster.startBroker(1, { promiseMs: 50 });
  await eventually(async () => (await cluster.client().describe()).brokers.length === 1);
  await cluster.client().create({ name: 'wide', partitionCount: PARTITION_COUNT });
  return broker;
}

describe('elections of thousands of partitions', () => {
  it('go to a broker in few calls at a time, each partition once', { timeout: 60_000 }, async () => {
    const broker = await brokerWithMany();
    expect(broker.leadingEpochs()).toEqual(Array.from({ length: PARTITION_COUNT }, () => 1));
    expect(broker.promiseCallsAtOnceMax).toBe(2);
  });
});
