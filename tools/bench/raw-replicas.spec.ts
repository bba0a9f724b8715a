import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LoadProcess } from './child-process.ts';
import { RawReplicas } from './peers/raw-replicas.ts';

const folder = mkdtempSync(join(tmpdir(), 'partita-raw-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe.for([
  { kind: 'without disks', disks: undefined },
  { kind: 'with disks', disks: folder },
])('the raw replicas $kind', ({ disks }) => {
  let replicas: RawReplicas;
  let load: LoadProcess;

  beforeAll(async () => {
    replicas = await RawReplicas.start(disks);
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
    let sentBytes = 0;
    for (let run = 0; run < 2; run += 1) {
      const sample = await load.run({ load: 'push-direct', topic: '', seconds: 0.2 });
      expect(sample.recordCount).toBeGreaterThan(0);
      sentBytes += sample.bytes;
      expect(sample.bytes).toBe(sample.recordCount * 1024);
    }
    const storedBytes = readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
    // What is answered is on two disks at least.
    if (disks === undefined) expect(storedBytes).toBe(0);
    else expect(storedBytes).toBeGreaterThan(2 * sentBytes);
  });
});
