import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LoadProcess } from './child-process.ts';
import { RawReplicas } from './peers/raw-replicas.ts';

describe('the raw replicas', () => {
  let replicas: RawReplicas;
  let load: LoadProcess;

  beforeAll(async () => {
    replicas = await RawReplicas.start();
    load = await LoadProcess.start({ kind: 'raw', sinks: replicas.addresses });
  });

  afterAll(() => {
    load.stop();
    replicas.stop();
  });

  it('are as many processes as there are brokers', () => {
    expect(new Set(replicas.pids).size).toBe(3);
  });

  it('answer every frame, again and again', async () => {
    for (let run = 0; run < 2; run += 1) {
      const sample = await load.run({ load: 'push-direct', topic: '', seconds: 0.2 });
      expect(sample.recordCount).toBeGreaterThan(0);
      expect(sample.bytes).toBe(sample.recordCount * 1024);
    }
  });
});
