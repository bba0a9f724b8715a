import {
  BATCH_CLAIM,
  BATCH_CONFIG,
  BATCH_EPOCH_START,
  BatchBuilder,
  buildControlBatch,
  CODEC_NONE,
  headerSeed,
  stampBatch,
} from '@partita/batch';
import {
  CLOSING_SNAPSHOT_BYTES_MIN,
  PRODUCER_EXPIRY_MS,
  PRODUCER_WINDOW_COUNT,
  ProducerTable,
  REQUEST_EXPIRY_MS,
  REQUEST_PRODUCER_EPOCH,
} from '@partita/domain';
import { expect, it } from 'vitest';
import type { EpochStart } from './epoch-history.ts';
import type { LogState } from './log-state.ts';
import type { PartitionLog } from './partition-log.ts';
import { decodeSnapshot, encodeSnapshot } from './snapshot.ts';
import { DIRECTORY, LogBench, makeBatch, readAll, TOPIC_ID } from './testing/log-fixture.ts';

const SEED = headerSeed(TOPIC_ID, 3);
const PRODUCER = Buffer.alloc(16, 7);

function stamped(log: PartitionLog, batch: Buffer, epoch: number, appendTimeMs = 5000n): Buffer {
  stampBatch(batch, { baseOffset: log.logEnd, leaderEpoch: epoch, appendTimeMs }, SEED);
  return batch;
}

type ControlType = typeof BATCH_CLAIM | typeof BATCH_CONFIG | typeof BATCH_EPOCH_START;

function control(log: PartitionLog, type: ControlType, text: string, epoch: number) {
  return stamped(log, buildControlBatch(type, Buffer.from(text)), epoch);
}

function produced(log: PartitionLog, firstSequence: bigint, epoch: number, appendTimeMs = 5000n): Buffer {
  const builder = new BatchBuilder();
  for (let index = 0; index < 2; index += 1) builder.tryAdd({ value: Buffer.alloc(300), timestampMs: 1n });
  const framing = { codec: CODEC_NONE, producerId: PRODUCER, producerEpoch: 1, firstSequence } as const;
  return stamped(log, builder.build(framing), epoch, appendTimeMs);
}

/** A request with an id; `number` is that id. */
function requested(log: PartitionLog, number: number, epoch: number, appendTimeMs = 5000n): Buffer {
  const builder = new BatchBuilder();
  for (let index = 0; index < 3; index += 1) builder.tryAdd({ value: Buffer.alloc(20), timestampMs: 1n });
  const producerId = Buffer.alloc(16, number);
  const framing = { producerId, producerEpoch: REQUEST_PRODUCER_EPOCH, firstSequence: 0n } as const;
  return stamped(log, builder.build({ codec: CODEC_NONE, ...framing }), epoch, appendTimeMs);
}

function requestsIn(state: LogState): readonly string[] {
  const { requests } = new ProducerTable(state.producers);
  return requests
    .entries(state.lastAppendTimeMs)
    .map(({ requestId, recordCount, baseOffset }) => `${requestId.slice(0, 2)} x${recordCount} @${baseOffset}`);
}

/** Everything of a state that a snapshot holds, at the end of the log. */
function content(state: LogState): unknown {
  return state.snapshot(0n);
}

async function fillWithEverything(bench: LogBench): Promise<PartitionLog> {
  const log = await bench.open();
  for (let epoch = 1; epoch <= 5; epoch += 1) {
    log.append(control(log, BATCH_EPOCH_START, `config of ${epoch}`, epoch));
    log.append(control(log, BATCH_CLAIM, `claim of ${epoch}`, epoch));
    for (let number = 0; number < 6; number += 1) {
      log.append(produced(log, BigInt(2 * (6 * (epoch - 1) + number)), epoch));
      log.append(requested(log, 16 * epoch + number, epoch));
      log.append(stamped(log, makeBatch({ base: 0n, valueBytes: 500 }), epoch));
    }
  }
  await bench.durable(log.logEnd, log);
  return log;
}

it('keeps the records that changed the config through any number of epochs that repeat the last one', async () => {
  const bench = new LogBench();
  const log = await bench.open();
  for (let change = 1; change <= 5; change += 1) log.append(control(log, BATCH_CONFIG, `change ${change}`, 1));
  for (let epoch = 2; epoch <= 6; epoch += 1) log.append(control(log, BATCH_EPOCH_START, `start ${epoch}`, epoch));
  await bench.durable(log.logEnd, log);
  const known = ['start 6', 'start 5', 'start 4', 'change 5', 'change 4', 'change 3'];
  expect(log.state.configs.map((record) => record.content.toString())).toEqual(known);
  expect(decodeSnapshot(encodeSnapshot(log.state.snapshot(7n)))?.configs).toEqual(log.state.configs);
});

it('remembers epochs, the newest configs and claim, the end of the data and the producers', async () => {
  const bench = new LogBench({ segmentBytesMax: 4000 });
  const log = await fillWithEverything(bench);
  const { state } = log;
  expect(state.epochs.starts.map(({ epoch }) => epoch)).toEqual([1, 2, 3, 4, 5]);
  expect(state.configs.map((record) => record.content.toString())).toEqual([
    'config of 5',
    'config of 4',
    'config of 3',
  ]);
  expect(state.claim?.content.toString()).toBe('claim of 5');
  expect(state.dataEnd).toBe(log.logEnd);
  const [producer] = state.snapshot(0n).producers.sessions;
  expect(producer?.batches.map(({ firstSequence, lastSequence }) => [firstSequence, lastSequence])).toEqual(
    Array.from({ length: PRODUCER_WINDOW_COUNT }, (_, n) => [BigInt(50 + 2 * n), BigInt(51 + 2 * n)]),
  );
  expect(requestsIn(state).map((request) => request.slice(0, 5))).toEqual(
    ['50', '51', '52', '53', '54', '55'].map((id) => `${id} x3`),
  );
});

it('is the same after a restart of any kind, with and without snapshots', async () => {
  const bench = new LogBench({ segmentBytesMax: 4000 });
  const log = await fillWithEverything(bench);
  const before = content(log.state);
  bench.disk.crash();
  const unclean = await bench.open();
  expect(content(unclean.state)).toEqual(before);
  await unclean.close({ clean: true });
  const clean = await bench.open({ cleanShutdown: true, knownSynced: log.logEnd });
  expect(content(clean.state)).toEqual(before);
  await clean.close({ clean: false });
  for (const name of await bench.disk.list(DIRECTORY)) {
    if (name.endsWith('.snapshot')) await bench.disk.unlink(`${DIRECTORY}/${name}`);
  }
  expect(content((await bench.open()).state)).toEqual(before);
});

it('is rolled back with the end of the log', async () => {
  const bench = new LogBench({ segmentBytesMax: 4000 });
  const log = await fillWithEverything(bench);
  const cut = log.epochHistory[3]!.startOffset;
  await log.truncate(cut);
  const { state } = log;
  expect(state.configs.map((record) => record.content.toString())).toEqual([
    'config of 3',
    'config of 2',
    'config of 1',
  ]);
  expect(state.claim?.content.toString()).toBe('claim of 3');
  expect(state.dataEnd).toBe(cut);
  expect(state.snapshot(0n).producers.sessions[0]?.batches.at(-1)?.lastSequence).toBe(35n);
});

it('outlives the segments that it was made from', async () => {
  const bench = new LogBench({ segmentBytesMax: 4000 });
  const log = await fillWithEverything(bench);
  const before = content(log.state);
  await log.trim(log.logEnd);
  expect(log.segments.length).toBe(1);
  bench.disk.crash();
  const again = await bench.open({ logStart: log.logEnd });
  expect(content(again.state)).toEqual(before);
});

it('is written down at a clean stop, so that the next start reads no batch, and believed once only', async () => {
  const bench = new LogBench({ segmentBytesMax: 8 * CLOSING_SNAPSHOT_BYTES_MIN });
  const log = await fillWithEverything(bench);
  await bench.fill(log, 4, { valueBytes: CLOSING_SNAPSHOT_BYTES_MIN / 2, epoch: 5 });
  const before = content(log.state);
  const end = log.logEnd;
  await log.close({ clean: true });
  const closing = `${DIRECTORY}/${String(end).padStart(20, '0')}.snapshot`;
  expect(bench.disk.has(closing)).toBe(true);
  // A header in the middle of the segment: whoever reads the batches trips over it.
  bench.disk.tamper(`${DIRECTORY}/00000000000000000000.log`, (bytes) => bytes.fill(0, 2000, 2100));
  const again = await bench.open({ cleanShutdown: true, knownSynced: end });
  expect(content(again.state)).toEqual(before);
  expect(bench.disk.has(closing)).toBe(false);
});

it('forgets a producer a day after its last batch, by the time of the log', async () => {
  const bench = new LogBench();
  const log = await bench.open();
  log.append(produced(log, 0n, 1));
  log.append(stamped(log, makeBatch({ base: 0n }), 1, 5000n + BigInt(PRODUCER_EXPIRY_MS)));
  await bench.durable(3n, log);
  expect(log.state.snapshot(3n).producers.sessions.length).toBe(1);
  log.append(stamped(log, makeBatch({ base: 0n }), 1, 5001n + BigInt(PRODUCER_EXPIRY_MS)));
  await bench.durable(4n, log);
  expect(log.state.snapshot(4n).producers.sessions).toEqual([]);
  expect((await readAll(log)).length).toBeGreaterThan(0);
});

it('forgets a request ten minutes after it was appended, by the time of the log', async () => {
  const bench = new LogBench();
  const log = await bench.open();
  log.append(requested(log, 1, 1));
  log.append(requested(log, 2, 1, 5001n));
  log.append(stamped(log, makeBatch({ base: 0n }), 1, 5000n + BigInt(REQUEST_EXPIRY_MS)));
  await bench.durable(log.logEnd, log);
  expect(requestsIn(log.state)).toEqual(['01 x3 @0', '02 x3 @3']);
  log.append(stamped(log, makeBatch({ base: 0n }), 1, 5001n + BigInt(REQUEST_EXPIRY_MS)));
  await bench.durable(log.logEnd, log);
  expect(requestsIn(log.state)).toEqual(['02 x3 @3']);
  bench.disk.crash();
  expect(requestsIn((await bench.open()).state)).toEqual(['02 x3 @3']);
});

it('forgets the sessions of earlier claims with a new one, not with one that is repeated', async () => {
  const bench = new LogBench();
  const log = await bench.open();
  log.append(control(log, BATCH_CLAIM, 'first', 1));
  log.append(produced(log, 0n, 1));
  log.append(control(log, BATCH_CLAIM, 'first', 1));
  await bench.durable(log.logEnd, log);
  expect(log.state.producers.sessions.map(({ batches }) => batches.length)).toEqual([1]);
  log.append(control(log, BATCH_CLAIM, 'second', 1));
  await bench.durable(log.logEnd, log);
  expect(log.state.producers.sessions).toEqual([]);
});

it('remembers which epochs began with a forced leader: live, in snapshots, after a start', async () => {
  const bench = new LogBench({ segmentBytesMax: 2000 });
  const log = await bench.open();
  // Fields 1 and 2 of an EpochStartRecord, then `unclean`.
  const record = (epoch: number, isUnclean: boolean): Buffer =>
    Buffer.from([0x08, epoch, 0x10, 1, ...(isUnclean ? [0x20, 1] : [])]);
  for (const epoch of [1, 2, 3, 4]) {
    log.append(stamped(log, buildControlBatch(BATCH_EPOCH_START, record(epoch, epoch % 2 === 0)), epoch));
    for (let left = 4; left > 0; left -= 1) log.append(stamped(log, makeBatch({ base: 0n, valueBytes: 400 }), epoch));
  }
  const unclean = (starts: readonly EpochStart[]): number[] =>
    starts.filter((start) => start.unclean).map(({ epoch }) => epoch);
  expect(unclean(log.epochHistory)).toEqual([2, 4]);
  await bench.durable(log.logEnd, log);
  expect(unclean(log.state.epochs.starts)).toEqual([2, 4]);
  expect(log.segments.length).toBeGreaterThan(2);
  await log.close({ clean: false });
  expect(unclean((await bench.open()).epochHistory)).toEqual([2, 4]);
});
