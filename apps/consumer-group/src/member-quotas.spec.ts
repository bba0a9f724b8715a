/** What the service makes of the quotas of the clients that it sends records to. */
import { DeliveryForm, GroupServiceService, Quota, ReadRecordsRequest } from '@partita/protocol';
import { callUnary, ChannelPool } from '@partita/rpc/client';
import { metricValue } from '@partita/testkit';
import { afterAll, expect, it } from 'vitest';
import { PLENTY, ServiceWorld } from './testing/service-world.ts';
import { TestMember } from './testing/test-member.ts';

const KIB = 1024;
const RATE = 64 * KIB;
const VALUE = 'v'.repeat(16 * KIB);
/** Two seconds' worth beyond what goes at once. */
const COUNT = 12;

const world = new ServiceWorld();
const { topic, cluster } = world;
const pool = new ChannelPool({ clientId: 'reader' });
afterAll(() => pool.close());
let version = 0n;

async function tell(...quotas: Partial<Quota>[]): Promise<void> {
  version += 1n;
  cluster.sessions.tellQuotas({ version, quotas: quotas.map((quota) => Quota.fromPartial(quota)) });
  await new Promise((resolve) => setTimeout(resolve, 100));
}

function filled(): string {
  const name = topic(1);
  for (let count = 0; count < COUNT; count += 1) cluster.produce(name, 0, [`${count} ${VALUE}`]);
  return name;
}

function member(
  group: string,
  topics: readonly string[],
  deliveryForm: DeliveryForm = DeliveryForm.DELIVERY_FORM_RECORDS,
): TestMember {
  return new TestMember(pool, world.address, {
    group,
    subscription: { topics: [...topics] },
    credit: PLENTY,
    deliveryForm,
  });
}

it.each([
  ['records', DeliveryForm.DELIVERY_FORM_RECORDS],
  ['batches', DeliveryForm.DELIVERY_FORM_BATCHES],
] as const)('%s come at the rate of their client, in order, without an error', async (form, deliveryForm) => {
  await tell({ clientId: 'reader', consumeBytesPerSecond: BigInt(RATE) });
  const name = filled();
  const beganMs = performance.now();
  const one = member(`slow-${form}`, [name], deliveryForm);
  const got = () =>
    deliveryForm === DeliveryForm.DELIVERY_FORM_RECORDS ? one.values.length : one.all('batches').length;
  await one.until(() => got() >= 4);
  expect(got()).toBeLessThan(COUNT);
  await one.until(() => got() === COUNT, 8000);
  expect((performance.now() - beganMs) / 1000).toBeGreaterThan(1);
  if (deliveryForm === DeliveryForm.DELIVERY_FORM_RECORDS)
    expect(one.values.map((value) => Number(value.split(' ')[0]))).toEqual([...Array(COUNT).keys()]);
  one.crash();
  const labels = { quota: 'client' };
  expect(metricValue(world.instances[0]!.metrics, 'partita.group.throttle.duration', labels)).toBeGreaterThan(0);
});

it('a client that is held on one topic gets the others at once, and everything when the quota goes', async () => {
  const [held, free] = [filled(), filled()];
  await tell({ clientId: 'reader', topic: held, consumeBytesPerSecond: 2048n });
  const one = member('both', [held, free]);
  const of = (name: string) => one.records.filter((record) => record.topic === name).length;
  await one.until(() => of(free) === COUNT, 3000);
  expect(of(held)).toBeLessThan(COUNT);
  await tell();
  await one.until(() => of(held) === COUNT, 5000);
  one.crash();
});

it('records that are read by calls are paid for by the calls that follow', async () => {
  await tell({ clientId: 'reader', consumeBytesPerSecond: BigInt(RATE) });
  const name = filled();
  const client = pool.client(world.address);
  const beganMs = performance.now();
  for (let call = 0; call < 5; call += 1) {
    const request = ReadRecordsRequest.fromPartial({
      topic: name,
      maxBytes: RATE,
      start: { position: { $case: 'earliest', earliest: true } },
    });
    const { records } = await callUnary(client, GroupServiceService.readRecords, request);
    expect(records.length).toBeGreaterThan(0);
  }
  expect((performance.now() - beganMs) / 1000).toBeGreaterThan(1);
});
