import { describe, expect, it } from 'vitest';
import { Latencies } from '../latencies.ts';
import { judge } from './goals.ts';
import { compareHeader } from './header.ts';
import { compareChart, compareTables } from './report.ts';
import type { SystemResult, WorkloadResult } from './result.ts';
import type { MeteredSample } from './rounds.ts';
import type { SystemName } from './system.ts';

function sample(megabytes: number, latencyMs?: number): MeteredSample {
  const bytes = megabytes * 1e6;
  const plain = { recordCount: bytes / 1000, bytes, durationMs: 1000, clientCpuMs: 50, serversCpuMs: 100 };
  if (latencyMs === undefined) return plain;
  const latencies = new Latencies();
  latencies.record(performance.now() - latencyMs);
  return { ...plain, latencies: latencies.encode() };
}

function system(name: SystemName, megabytes: number, latency?: { rate: number; ms: number }): SystemResult {
  const throughput = [sample(megabytes)];
  if (latency === undefined) return { name, throughput };
  return { name, throughput, latency: { ratePerSecond: latency.rate, samples: [sample(10, latency.ms)] } };
}

const result: WorkloadResult = {
  flush: 'os',
  recordBytes: 1024,
  systems: [
    system('direct', 120, { rate: 50_000, ms: 30 }),
    system('gateway', 110, { rate: 50_000, ms: 90 }),
    system('ready', 150),
    system('raw', 300),
    system('kafka', 100, { rate: 50_000, ms: 60 }),
    system('nats', 20, { rate: 10_000, ms: 10 }),
  ],
};

describe('the goals', () => {
  it('are met at the target and missed below it, each way by itself', () => {
    const verdicts = judge(result).map(({ text, system: of, isMet }) => `${text}: ${of}: ${isMet ? 'met' : 'missed'}`);
    expect(verdicts).toEqual([
      'MB/s, to Kafka: Partita, direct: met',
      'MB/s, to Kafka: Partita, by the gateway: missed',
      "p99 at half of Kafka's load, to Kafka: Partita, direct: met",
      "p99 at half of Kafka's load, to Kafka: Partita, by the gateway: missed",
      'MB/s, to NATS JetStream: Partita, direct: met',
      'MB/s, to NATS JetStream: Partita, by the gateway: met',
      'MB/s, to raw gRPC, the same hops: Partita, direct: missed',
      'MB/s, to raw gRPC, the same hops: Partita, ready batches, direct: missed',
    ]);
  });

  it('are judged against Kafka with its linger and without', () => {
    const eager = system('kafka-eager', 80, { rate: 50_000, ms: 20 });
    const verdicts = judge({ ...result, systems: [system('direct', 90, { rate: 50_000, ms: 30 }), eager] });
    expect(verdicts.map(({ text, isMet }) => [text, isMet])).toEqual([
      ['MB/s, to Kafka, linger 0', false],
      ["p99 at half of Kafka's load, to Kafka, linger 0", false],
    ]);
  });

  it('are not judged for other sizes, nor without the other system, nor at another rate', () => {
    expect(judge({ ...result, recordBytes: 100 })).toEqual([]);
    expect(judge({ ...result, systems: [system('direct', 1)] })).toEqual([]);
    const slow = [system('direct', 1, { rate: 10, ms: 1 }), system('kafka', 1, { rate: 20, ms: 2 })];
    expect(judge({ ...result, systems: slow }).map(({ text }) => text)).toEqual(['MB/s, to Kafka']);
  });
});

describe('the report of the comparison', () => {
  const tables = compareTables([result]);

  it('names each goal with what was measured and the verdict', () => {
    expect(tables).toContain(
      '| MB/s, to Kafka | Partita, direct | 1024 B, page cache | at least 1.2 | **1.20** (1.20 to 1.20) | met |',
    );
    expect(tables).toContain('| at least 0.7 | **0.50** (0.50 to 0.50) | **missed** |');
  });

  it('has a line of throughput for each system, with its CPU time', () => {
    expect(tables).toContain(
      '| Kafka | **100.0** (100.0 to 100.0) | 100,000 | **1.00** (1.00 to 1.00) | 1.00 | 0.50 |',
    );
    expect(tables).toContain('| raw gRPC, the same hops | **300.0** (300.0 to 300.0) |');
  });

  it('compares latencies at the same rate only', () => {
    expect(tables).toMatch(
      /\| Partita, direct \| 50,000 \| 10,000 \| 3\d\.\d\d \| 3\d\.\d\d \| 3\d\.\d\d \| \*\*0\.5\d\*\*/,
    );
    expect(tables).toMatch(/\| NATS JetStream \| 10,000 \| 10,000 \| 1\d\.\d\d \| 1\d\.\d\d \| 1\d\.\d\d \| {2}\|/);
  });

  it('says what failed, and why', () => {
    const failed = { ...result, systems: [{ name: 'kafka', throughput: [], failure: 'no disk' } as const] };
    expect(compareTables([failed])).toContain('Failed: Kafka at 1024 B, page cache, because no disk.');
  });

  it('draws each system once for throughput, and where it has one for its latency', () => {
    const chart = compareChart([result]);
    expect(chart).toMatch(/^<svg [^>]*>[^]*<\/svg>\n$/);
    expect(chart.match(/fill="#2f6fb2"/g)).toHaveLength(3 + 2);
    expect(chart.match(/fill="#a9b4c0"/g)).toHaveLength(3 + 2);
    expect(chart).toContain('NATS JetStream, 10,000/s');
  });

  it('names versions of the others, or why they are missing, and its chart', () => {
    const facts = {
      ...{ date: '2001-01-01', version: '0.1.0', node: 'v24.0.0', cpu: 'Some CPU', coreCount: 2, memoryBytes: 2 ** 33 },
      ...{ seconds: 10, rounds: 5, fileSystem: 'ext4', loadAverage: 0.25 },
    };
    const peers = [
      { name: 'kafka', version: 'Apache Kafka 4' },
      { name: 'nats', missing: 'there is no Go' },
    ] as const;
    const header = compareHeader({ ...facts, peers }, 'docs/peers.svg');
    expect(header).toContain('Beside Partita: Apache Kafka 4; no nats, because there is no Go.');
    expect(header).toContain('(peers.svg)');
    expect(compareHeader({ ...facts, peers: [] })).not.toContain('.svg');
  });
});
