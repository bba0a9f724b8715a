import { expect, it } from 'vitest';
import { damageOf } from './log-damage.ts';
import { SCRUB_STEP_BYTES, scrubLog } from './scrub.ts';
import { DIRECTORY, LogBench } from './testing/log-fixture.ts';

const goOn = () => Promise.resolve(true);

it('reads every durable batch, in steps', async () => {
  const bench = new LogBench({ segmentBytesMax: 3 * SCRUB_STEP_BYTES });
  const log = await bench.open();
  const batches = await bench.fill(log, 40, { valueBytes: 200_000 });
  const steps: number[] = [];
  const total = await scrubLog(log, (bytes) => {
    steps.push(bytes);
    return goOn();
  });
  expect(total).toBe(batches.reduce((sum, batch) => sum + batch.length, 0));
  expect(steps.length).toBeGreaterThan(6);
  expect(Math.max(...steps)).toBeLessThan(2 * SCRUB_STEP_BYTES);
});

it('finds one flipped bit wherever it is', async () => {
  const bench = new LogBench({ segmentBytesMax: 3000 });
  const log = await bench.open();
  await bench.fill(log, 6, { valueBytes: 1000 });
  const names = (await bench.disk.list(DIRECTORY)).filter((name) => name.endsWith('.log'));
  for (const name of names) {
    const whole = await bench.disk.readFile(`${DIRECTORY}/${name}`);
    for (let at = 111; at < whole.length; at += 13) {
      bench.disk.tamper(`${DIRECTORY}/${name}`, () => {
        const copy = Buffer.from(whole);
        copy[at]! ^= 1 << (at % 8);
        return copy;
      });
      await expect(scrubLog(log, goOn)).rejects.toMatchObject({ reason: 'CORRUPT_BATCH' });
    }
    bench.disk.tamper(`${DIRECTORY}/${name}`, () => whole);
  }
  await scrubLog(log, goOn);
});

it('passes over what retention deletes meanwhile, and stops when told', async () => {
  const bench = new LogBench({ segmentBytesMax: 3000 });
  const log = await bench.open();
  await bench.fill(log, 10, { valueBytes: 1000 });
  let steps = 0;
  await scrubLog(log, async () => {
    steps += 1;
    if (steps === 1) await log.trim(7n);
    return true;
  });
  expect(steps).toBeGreaterThan(1);
  expect(await scrubLog(log, () => Promise.resolve(false))).toBeLessThan(log.bytes / 1.5);
});

it('tells where the damage is, as a read does', async () => {
  const bench = new LogBench();
  const log = await bench.open();
  const batches = await bench.fill(log, 6, { valueBytes: 1000 });
  const file = `${DIRECTORY}/${'0'.padStart(20, '0')}.log`;
  const position = 111 + 2 * batches[0]!.length;
  bench.disk.tamper(file, (bytes) => {
    bytes[position + 200]! ^= 4;
    return bytes;
  });
  const damage = { file, position, segmentBase: 0n, offset: 2n };
  expect(damageOf(await scrubLog(log, goOn).catch((error: unknown) => error))).toEqual(damage);
  expect(damageOf(await log.read(2n, 6n, 1).catch((error: unknown) => error))).toEqual(damage);
  expect(damageOf(new Error('another'))).toBeUndefined();
});
