import { afterEach, describe, expect, it } from 'vitest';
import { DriverProcess, sampleOf } from './driver-process.ts';

/** A load generator that answers each job with what the job says. */
const ECHO = `
const { createInterface } = require('node:readline');
console.log('{"ready":true}');
createInterface({ input: process.stdin }).on('line', (line) => {
  const job = JSON.parse(line);
  if (job.end) { console.error('no memory'); process.exit(3); }
  if (!job.silent) console.log(JSON.stringify(job));
});`;

const drivers: DriverProcess[] = [];
afterEach(() => Promise.all(drivers.splice(0).map((driver) => driver.stop())));

async function start(program: string): Promise<DriverProcess> {
  const driver = await DriverProcess.start(process.execPath, ['-e', program]);
  drivers.push(driver);
  return driver;
}

describe('the load generator of a peer', () => {
  it('answers job after job, and ends with its input', async () => {
    const driver = await start(ECHO);
    expect(await driver.ask({ number: 1 }, 10)).toEqual({ number: 1 });
    expect(await driver.ask({ number: 2 }, 10)).toEqual({ number: 2 });
    const { pid } = driver;
    await driver.stop();
    expect(() => process.kill(pid, 0)).toThrow('ESRCH');
  });

  it('fails a job with the error that it answers, and takes the next', async () => {
    const driver = await start(ECHO);
    await expect(driver.ask({ error: 'no topic' }, 10)).rejects.toThrow('no topic');
    expect(await driver.ask({ number: 3 }, 10)).toEqual({ number: 3 });
  });

  it('fails a job with its last words when it ends', async () => {
    const driver = await start(ECHO);
    await expect(driver.ask({ end: true }, 10)).rejects.toThrow('no memory');
    await expect(driver.ask({ number: 5 }, 10)).rejects.toThrow('no memory');
  });

  it('is ended when a job takes too long: its answer must not be taken for that of the next', async () => {
    const driver = await start(ECHO);
    await expect(driver.ask({ silent: true }, 0.2)).rejects.toThrow('said nothing for 0.2 s');
    await expect(driver.ask({ number: 4 }, 10)).rejects.toThrow('a load generator ended');
  });

  it('says why it did not start', async () => {
    await expect(DriverProcess.start(process.execPath, ['-e', 'throw new Error("no class")'])).rejects.toThrow(
      'no class',
    );
    await expect(DriverProcess.start('no-such-program', [])).rejects.toThrow('ENOENT');
  });
});

describe('the answer of a load generator', () => {
  it('is a sample when it has all figures', () => {
    const sample = { recordCount: 1, bytes: 2, durationMs: 3.5 };
    expect(sampleOf({ ...sample, other: 1 })).toEqual(sample);
    expect(sampleOf({ ...sample, latencies: 'HIST' })).toEqual({ ...sample, latencies: 'HIST' });
  });

  it.each([
    { recordCount: 1, bytes: 2 },
    { recordCount: '1', bytes: 2, durationMs: 3 },
    { recordCount: -1, bytes: 2, durationMs: 3 },
  ])('is none when a figure is missing or wrong: %o', (answer) => {
    expect(() => sampleOf(answer)).toThrow('no sample');
  });
});
