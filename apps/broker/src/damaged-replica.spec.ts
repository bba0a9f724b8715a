import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { fromRpcStatus } from '@partita/rpc';
import { batchOf, entryFor, reasonOf, TestBroker } from './testing/broker.fixture.ts';
import type { TestTopic } from './testing/broker.fixture.ts';

let broker: TestBroker;
let topic: TestTopic;

beforeEach(async () => {
  broker = await TestBroker.start();
  topic = await broker.createTopic('flights', { partitions: 2, settings: { segmentBytes: 64n * 1024n } });
  await broker.elect(topic, 1);
  for (const partition of [0, 1]) {
    for (let count = 0; count < 5; count += 1) {
      await broker.appendOk(entryFor('flights', batchOf('x'.repeat(30_000)), { partition }));
    }
  }
  await broker.stop();
});

afterEach(async () => {
  await broker.stop();
  await broker.remove();
});

async function flip(path: string, at: number): Promise<Buffer> {
  const bytes = await readFile(path);
  bytes[at]! ^= 1;
  await writeFile(path, bytes);
  return bytes;
}

it('stays offline and suspect, says why, and is left as it is, while others serve', async () => {
  const dir = join(broker.dir, topic.config.topicId, '0');
  const last = (await readdir(dir))
    .filter((name) => name.endsWith('.log'))
    .sort()
    .at(-1)!;
  const damaged = await flip(join(dir, last), 200);
  // After a clean stop nothing is verified; a kill leaves no marker.
  await writeFile(join(broker.dir, 'clean-shutdown'), 'gone');
  for (const epoch of [2, 3]) {
    broker = await TestBroker.start(broker.dir);
    const [bad, good] = await broker.promise(topic, epoch);
    expect(fromRpcStatus(bad!.error!).reason).toBe('REPLICA_NOT_FOUND');
    expect(good?.granted).toBe(true);
    const [result] = await broker.append(entryFor('flights', batchOf('a')));
    expect(reasonOf(result)).toBe('CORRUPT_BATCH');
    expect(await readFile(join(dir, last))).toEqual(damaged);
    await broker.stop();
  }
  broker = await TestBroker.start(broker.dir);
});

it('is not made anew under its id by a repeated creation', async () => {
  const dir = join(broker.dir, topic.config.topicId, '0');
  const first = (await readdir(dir))
    .filter((name) => name.endsWith('.log'))
    .sort()
    .at(-1)!;
  await flip(join(dir, first), 200);
  await writeFile(join(broker.dir, 'clean-shutdown'), 'gone');
  broker = await TestBroker.start(broker.dir);
  const results = await broker.createReplicas(topic);
  expect(results.map(({ code }) => code !== 0)).toEqual([true, false]);
});

it('is served again when what was damaged can be made again', async () => {
  const dir = join(broker.dir, topic.config.topicId, '0');
  for (const name of await readdir(dir))
    if (!name.endsWith('.log')) await flip(join(dir, name), 20).catch(() => undefined);
  await flip(join(broker.dir, 'checkpoint'), 30);
  await writeFile(join(broker.dir, 'clean-shutdown'), 'gone');
  broker = await TestBroker.start(broker.dir);
  expect(await broker.elect(topic, 2)).toEqual([true, true]);
  const fetched = await broker.fetch({ topic: 'flights', offset: 1n, maxBytes: 3_000_000 });
  expect(fetched.error).toBeUndefined();
  expect(fetched.highWatermark).toBe(7n);
});

it('keeps only its topic offline when the topic.config is damaged', async () => {
  await flip(join(broker.dir, topic.config.topicId, 'topic.config'), 20);
  broker = await TestBroker.start(broker.dir);
  const [result] = await broker.append(entryFor('flights', batchOf('a')));
  expect(reasonOf(result)).toBe('TOPIC_NOT_FOUND');
  await broker.elect(await broker.createTopic('other'), 1);
  await broker.appendOk(entryFor('other', batchOf('a')));
});

it('is judged by the same checkpoint at every start, so that damage never becomes a torn write', async () => {
  broker = await TestBroker.start(broker.dir);
  await broker.elect(topic, 2);
  await broker.appendOk(entryFor('flights', batchOf('the last one')));
  // Until the checkpoint knows of it; the index does not.
  await new Promise((go) => setTimeout(go, 1500));
  const killed = await broker.copyOfDirectory();
  const dir = join(killed, topic.config.topicId, '0');
  const last = (await readdir(dir))
    .filter((name) => name.endsWith('.log'))
    .sort()
    .at(-1)!;
  const size = (await readFile(join(dir, last))).length;
  const damaged = await flip(join(dir, last), size - 1);
  for (let starts = 0; starts < 3; starts += 1) {
    const again = await TestBroker.start(killed);
    const [result] = await again.append(entryFor('flights', batchOf('a')));
    expect(reasonOf(result)).toBe('CORRUPT_BATCH');
    await again.stop();
    expect(await readFile(join(dir, last))).toEqual(damaged);
  }
  await rm(killed, { recursive: true });
});
