import { pause } from '@partita/client';
import type { OutgoingRecord } from '@partita/client';
import { describe, expect, it } from 'vitest';
import { mergedPercentiles } from '../latencies.ts';
import { BASE, IN_FLIGHT_BYTES } from '../produce/settings.ts';
import { SdkProduceLoads } from './sdk-produce-loads.ts';

/** A producer that acknowledges after a time, but stands still for a while when it is sent the record `stallAt`. */
class SlowProducer {
  options: unknown;
  isClosed = false;
  sent = 0;
  open = 0;
  openMax = 0;
  stallAt = Infinity;
  refusal: Error | undefined;

  producer(options: unknown): this {
    this.options = options;
    return this;
  }

  async send(_topic: string, records: readonly OutgoingRecord[]): Promise<void> {
    const isStalled = this.sent <= this.stallAt && this.stallAt < this.sent + records.length;
    this.sent += records.length;
    this.open += records.length;
    this.openMax = Math.max(this.openMax, this.open);
    if (isStalled) for (const startMs = performance.now(); performance.now() - startMs < 150;);
    await pause(5);
    if (this.refusal !== undefined) throw this.refusal;
    this.open -= records.length;
  }

  close(): Promise<void> {
    this.isClosed = true;
    return Promise.resolve();
  }
}

describe('the loads of the produce bench', () => {
  it('ask the SDK for what the row names, and close what they were given', async () => {
    const source = new SlowProducer();
    const settings = { ...BASE, delivery: 'direct', acks: 'leader', codec: 'lz4', lingerMs: 3 } as const;
    await new SdkProduceLoads(source).run('t', 0.01, { settings });
    expect(source.options).toMatchObject({ delivery: 'direct', acks: 'leader', codec: 'lz4', lingerMs: 3 });
    expect(source.isClosed).toBe(true);
  });

  it.each([100, 1024, 20_000])(
    'keep a bounded number of records of %i bytes in flight and count all',
    async (bytes) => {
      const source = new SlowProducer();
      const settings = { ...BASE, recordBytes: bytes };
      const sample = await new SdkProduceLoads(source).run('t', 0.05, { settings });
      expect(sample.recordCount).toBe(source.sent);
      expect(sample.bytes).toBe(source.sent * bytes);
      expect(sample.durationMs).toBeGreaterThanOrEqual(50);
      expect(source.openMax * bytes).toBeLessThanOrEqual(IN_FLIGHT_BYTES);
      expect(source.openMax * bytes).toBeGreaterThan(IN_FLIGHT_BYTES / 2);
    },
  );

  it('send at the rate, and call those late that were due while the sender stood still', async () => {
    const source = new SlowProducer();
    // Behind the half second that is not counted.
    source.stallAt = 600;
    const sample = await new SdkProduceLoads(source).run('t', 0.5, { settings: BASE, ratePerSecond: 1000 });
    expect(sample.recordCount).toBe(500);
    expect(source.sent).toBe(1000);
    const { p99, p999 } = mergedPercentiles([sample.latencies ?? '']);
    // 150 of 500 records were due meanwhile: the last percents are those due at its beginning.
    expect(p99).toBeGreaterThan(100);
    expect(p999).toBeGreaterThan(p99 - 1);
  });

  it('fail when a record is refused', async () => {
    const source = new SlowProducer();
    source.refusal = new Error('refused');
    const loads = new SdkProduceLoads(source);
    await expect(loads.run('t', 1, { settings: BASE })).rejects.toThrow('refused');
    await expect(loads.run('t', 1, { settings: BASE, ratePerSecond: 1000 })).rejects.toThrow('refused');
    expect(source.isClosed).toBe(true);
  });
});
