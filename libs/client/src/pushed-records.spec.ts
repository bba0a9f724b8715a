import { CODEC_GZIP, CODEC_LZ4, CODEC_ZSTD } from '@partita/batch';
import { DeliveryForm } from '@partita/protocol';
import { afterEach, describe, expect, test } from 'vitest';
import { closeAll, until } from './testing/loopback.ts';
import { offsets, startConsumer } from './testing/spec-group.ts';
import { stampedBatch, stampedEpochStart } from './testing/stamped-batch.ts';

afterEach(closeAll);

const decoder = new TextDecoder();

async function started(options: Parameters<typeof startConsumer>[0] = {}) {
  const started = await startConsumer(options);
  const first = started.records.next();
  await until(() => started.group.streamCount === 1);
  const [initial] = started.group.all('initial');
  return { ...started, first, initial: initial?.initial };
}

describe('a consumer of batches', () => {
  test('asks for them unless told otherwise, bounded by bytes', async () => {
    const { initial } = await started({ bufferBytes: 1_000_000 });
    expect(initial?.deliveryForm).toBe(DeliveryForm.DELIVERY_FORM_BATCHES);
    expect(initial?.credit).toEqual({ records: 1_000_000n, bytes: 1_000_000n });
    const decoded = await started({ delivery: 'records' });
    expect(decoded.initial?.deliveryForm).toBe(DeliveryForm.DELIVERY_FORM_RECORDS);
    expect(decoded.initial?.credit?.records).toBe(2000n);
  });

  test('decodes them, whatever they are compressed with', async () => {
    const { group, first, records } = await started();
    const values = ['one'.repeat(100), 'two'.repeat(100)];
    group.deliverBatches([
      stampedBatch(values, { baseOffset: 0n, codec: CODEC_ZSTD }),
      stampedBatch(values, { baseOffset: 2n, codec: CODEC_GZIP }),
      stampedBatch(values, { baseOffset: 4n, codec: CODEC_LZ4 }),
    ]);
    const { value } = await first;
    expect(value).toMatchObject({ topic: 't', offset: 0n, leaderEpoch: 3, timestampMs: 5 });
    expect(decoder.decode(value?.value)).toBe(values[0]);
    expect(await offsets(records, 5)).toEqual(['0:1', '0:2', '0:3', '0:4', '0:5']);
  });

  test('begins where the delivery begins, inside of a batch, and passes by control batches', async () => {
    const { group, first, records } = await started();
    const batches = [
      stampedBatch(['a', 'b', 'c'], { baseOffset: 0n }),
      stampedEpochStart({ baseOffset: 3n }),
      stampedBatch(['e'], { baseOffset: 4n }),
    ];
    group.deliverBatches(batches, { fromOffset: 2n });
    expect((await first).value?.offset).toBe(2n);
    expect(await offsets(records, 1)).toEqual(['0:4']);
  });

  test('shows the append time where the topic says so', async () => {
    const { group, first } = await started();
    group.deliverBatches([stampedBatch(['a'], { baseOffset: 0n })], { appendTime: true });
    const { value } = await first;
    expect([value?.timestampMs, value?.appendTimeMs]).toEqual([1_700_000_000_000, 1_700_000_000_000]);
  });

  test('owes for a batch as the service counts it once its last record is taken', async () => {
    const batch = stampedBatch(['a', 'b'], { baseOffset: 0n });
    const { group, first, records } = await started({ bufferBytes: batch.byteLength });
    group.deliverBatches([batch]);
    await first;
    await records.next();
    expect(group.all('credit')).toEqual([]);
    void records.next();
    await until(() => group.all('credit').length === 1);
    expect(group.all('credit')[0]?.credit).toEqual({ records: 2n, bytes: BigInt(batch.byteLength) });
  });

  test.each([
    ['records', 140],
    ['header', 8],
  ])('ends with CORRUPT_BATCH when the %s were damaged on the way', async (_, at) => {
    const { group, first } = await started();
    const batch = stampedBatch(['a'.repeat(50)], { baseOffset: 0n });
    batch[at] = (batch[at] ?? 0) ^ 1;
    group.deliverBatches([batch]);
    await expect(first).rejects.toMatchObject({
      reason: expect.stringMatching(/CORRUPT_BATCH|INVALID_BATCH/) as string,
    });
  });

  test('does not take the batches of another partition for its own', async () => {
    const { group, first } = await started();
    group.deliverBatches([stampedBatch(['a'], { baseOffset: 0n, partition: 1 })]);
    await expect(first).rejects.toMatchObject({ reason: 'CORRUPT_BATCH', metadata: { partition: '0', offset: '0' } });
  });
});
