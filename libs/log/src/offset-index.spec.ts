import { expect, it } from 'vitest';
import { DIRECTORY, LogBench, makeBatch } from './testing/log-fixture.ts';

const INDEX = `${DIRECTORY}/00000000000000000000.idx`;
/** Of batches that one write takes: the highest is of one that gets no entry, a new epoch begins among them. */
const TIMESTAMPS_MS = [5n, 3n, 9000n, 4n, 6n, 7n, 2n, 8n];

async function write(inOneTurn: boolean): Promise<{ bench: LogBench; idx: Buffer }> {
  const bench = new LogBench();
  const log = await bench.open();
  for (let round = 0; round < 3; round += 1) {
    for (const [index, timestampMs] of TIMESTAMPS_MS.entries()) {
      const epoch = 1 + round + (index < 5 ? 0 : 1);
      log.append(makeBatch({ base: log.logEnd, timestampMs: timestampMs + BigInt(round), epoch, valueBytes: 6000 }));
      if (!inOneTurn) await bench.durable(log.logEnd, log);
    }
    await bench.durable(log.logEnd, log);
  }
  await log.close({ clean: true });
  return { bench, idx: Buffer.from(await bench.disk.readFile(INDEX)) };
}

it('is the same for batches of one write as for batches written one by one, and as made again from the log', async () => {
  const { bench, idx } = await write(true);
  expect(idx.length).toBeGreaterThan(0);
  expect(idx.equals((await write(false)).idx)).toBe(true);
  await bench.disk.unlink(INDEX);
  await (await bench.open()).close({ clean: true });
  expect(Buffer.from(await bench.disk.readFile(INDEX)).equals(idx)).toBe(true);
});

it('knows the time of a batch that got no entry', async () => {
  const { bench } = await write(true);
  const log = await bench.open({ cleanShutdown: true });
  const firstAbove = 2n;
  expect(await log.offsetForTime(8000n)).toBe(firstAbove);
  expect(await log.offsetForTime(9002n)).toBe(18n);
  await log.close({ clean: true });
});
