import { BatchBuilder, CODEC_GZIP } from '@partita/batch';
import { expect, it } from 'vitest';
import { decodeStored } from './stored-batch.ts';

const NAME = { topicId: '0190a000-0000-7000-8000-000000000001', topic: 'flights', partition: 3 };
const UNCOMPRESSED_BYTES_AT = 67;
const CODEC_AT = 115;

function batch(): Buffer {
  const builder = new BatchBuilder();
  builder.tryAdd({ value: Buffer.from('again '.repeat(50)), timestampMs: 1n });
  return builder.build({ codec: CODEC_GZIP });
}

it('gives the records of a good batch', () => {
  expect(decodeStored(batch(), 0, NAME, 7n).records).toHaveLength(1);
});

it('says where the batch lies that does not unpack to what its header claims', () => {
  const lying = batch();
  lying.writeInt32LE(5, UNCOMPRESSED_BYTES_AT);
  const metadata = { topic_id: NAME.topicId, topic: 'flights', partition: '3', offset: '7' };
  expect(() => decodeStored(lying, 0, NAME, 7n)).toThrow(
    expect.objectContaining({ reason: 'CORRUPT_BATCH', metadata }) as Error,
  );
});

it('says of bytes that are no batch at all that they are corrupt too', () => {
  const unknown = batch();
  unknown[CODEC_AT] = 9;
  expect(() => decodeStored(unknown, 0, NAME, 7n)).toThrow(
    expect.objectContaining({ reason: 'CORRUPT_BATCH' }) as Error,
  );
});
