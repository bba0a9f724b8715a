import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LoadProcess, RawChain } from './child-process.ts';

describe('the raw chain', () => {
  let chain: RawChain;
  let load: LoadProcess;

  beforeAll(async () => {
    chain = await RawChain.start();
    load = await LoadProcess.start({ kind: 'raw', relay: chain.relay, sinks: chain.sinks });
  });

  afterAll(() => {
    load.stop();
    chain.stop();
  });

  it.each(['push', 'pull', 'pull-direct', 'call'])('carries the load "%s"', async (name) => {
    const sample = await load.run({ load: name, topic: '', seconds: 0.2 });
    expect(sample.recordCount).toBeGreaterThan(0);
    expect(sample.bytes).toBe(sample.recordCount * 1024);
    expect(sample.durationMs).toBeGreaterThanOrEqual(200);
    expect(sample.latencies === undefined).toBe(name !== 'call');
  });

  it('refuses an unknown load by name', async () => {
    await expect(load.run({ load: 'nap', topic: '', seconds: 1 })).rejects.toThrow('no raw load is called "nap"');
  });
});
