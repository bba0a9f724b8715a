import { describe, expect, it } from 'vitest';
import { bytesPerSecond } from '../sample.ts';
import { Latencies } from '../latencies.ts';
import { figuresOf, p99Ms, ratioOf, runRotating } from './rounds.ts';
import type { MeteredSample } from './rounds.ts';
import type { System, SystemName } from './system.ts';

function system(name: SystemName): System {
  const unused = (): never => {
    throw new Error('the runs are made by the spec');
  };
  return { name, flush: 'os', pids: { client: [], servers: [] }, create: unused, produce: unused, delete: unused };
}

function sample(megabytes: number, extra: Partial<MeteredSample> = {}): MeteredSample {
  const bytes = megabytes * 1e6;
  return { recordCount: bytes / 1000, bytes, durationMs: 1000, clientCpuMs: 100, serversCpuMs: 300, ...extra };
}

describe('rounds over all systems', () => {
  const systems = [system('direct'), system('kafka'), system('nats')];
  const work = { seconds: 1, recordBytes: 1024 };

  it('give every system one run in each, and begin with another system each time', async () => {
    const order: string[] = [];
    const all = await runRotating(
      systems,
      3,
      () => work,
      ({ name }) => {
        order.push(name);
        return Promise.resolve(sample(1));
      },
    );
    expect(order.join(' ')).toBe('direct kafka nats kafka nats direct nats direct kafka');
    expect(all.map(({ samples }) => samples.length)).toEqual([3, 3, 3]);
  });

  it('leave a system out from the round on in which it failed, and say why', async () => {
    let runs = 0;
    const [direct, kafka] = await runRotating(
      systems,
      3,
      () => work,
      ({ name }) => {
        if (name === 'kafka') runs += 1;
        return runs > 1 && name === 'kafka' ? Promise.reject(new Error('no disk')) : Promise.resolve(sample(1));
      },
    );
    expect(runs).toBe(2);
    expect(kafka).toMatchObject({ failure: 'no disk', samples: { length: 1 } });
    expect(direct?.samples).toHaveLength(3);
    expect(direct?.failure).toBeUndefined();
  });
});

describe('the figures of a system', () => {
  it('are medians of its rounds, CPU time for each megabyte', () => {
    const figures = figuresOf([sample(10), sample(40), sample(20)]);
    expect(figures?.bytesPerSecond).toEqual({ median: 20e6, lowest: 10e6, highest: 40e6 });
    expect(figures?.recordsPerSecond).toBe(20_000);
    expect(figures?.serversCpuMsPerMb).toBe(15);
    expect(figures?.clientCpuMsPerMb).toBe(5);
    expect(figures?.latencyMs).toBeUndefined();
    expect(figuresOf([])).toBeUndefined();
  });

  it('take percentiles of the records of all rounds', () => {
    const [fast, slow] = [encoded(990, 1), encoded(10, 500)];
    const figures = figuresOf([sample(1, { latencies: fast }), sample(1, { latencies: slow })]);
    expect(figures?.latencyMs?.p50).toBeLessThan(5);
    expect(figures?.latencyMs?.p999).toBeGreaterThan(400);
    expect(p99Ms(sample(1, { latencies: slow }))).toBeGreaterThan(400);
    expect(() => p99Ms(sample(1))).toThrow('without latencies');
  });

  it('are compared within rounds that both had', () => {
    const ours = [sample(10), sample(40), sample(90)];
    const theirs = [sample(5), sample(10)];
    expect(ratioOf(ours, theirs, bytesPerSecond)).toEqual({ median: 3, lowest: 2, highest: 4 });
    expect(ratioOf(ours, [], bytesPerSecond)).toBeUndefined();
  });
});

function encoded(count: number, ms: number): string {
  const latencies = new Latencies();
  for (let index = 0; index < count; index += 1) latencies.record(performance.now() - ms);
  return latencies.encode();
}
