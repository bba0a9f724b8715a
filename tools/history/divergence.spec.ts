import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BatchBuilder, CODEC_NONE, headerSeed, stampBatch } from '@partita/batch';
import { encodeSegmentHeader } from '@partita/log';
import { afterAll, describe, expect, it } from 'vitest';
import { compareReplicas } from './divergence.ts';
import type { Comparison } from './divergence.ts';

const CLUSTER_ID = '7b0e6d0e-3f7c-4c53-9c5e-0a4f4a1c2b3d';
const TOPIC_ID = '0d9f7a34-95a1-4d0c-8a3f-5b1d2c3e4f50';
const root = mkdtempSync(join(tmpdir(), 'partita-replicas-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let replicaCount = 0;

/** One batch of two records, at the offset. */
function batch(baseOffset: number, text = 'same', leaderEpoch = 1): Buffer {
  const builder = new BatchBuilder();
  for (const number of [0, 1])
    builder.tryAdd({ value: Buffer.from(`${text} ${number}`), timestampMs: 1_700_000_000_000n });
  const bytes = builder.build({ codec: CODEC_NONE });
  const stamp = { baseOffset: BigInt(baseOffset), leaderEpoch, appendTimeMs: 1_700_000_000_000n };
  stampBatch(bytes, stamp, headerSeed(TOPIC_ID, 0));
  return bytes;
}

/** A data directory with the segments, by the offset at which each begins. */
function replica(segments: Readonly<Record<number, readonly Buffer[]>>): string {
  const dataDir = join(root, String((replicaCount += 1)));
  const directory = join(dataDir, TOPIC_ID, '0');
  mkdirSync(directory, { recursive: true });
  for (const [baseOffset, batches] of Object.entries(segments)) {
    const header = encodeSegmentHeader({
      clusterId: CLUSTER_ID,
      topicId: TOPIC_ID,
      partition: 0,
      baseOffset: BigInt(baseOffset),
      isSparse: false,
      createTimeMs: BigInt(1_700_000_000_000 + replicaCount),
    });
    writeFileSync(join(directory, `${baseOffset.padStart(20, '0')}.log`), Buffer.concat([header, ...batches]));
  }
  return dataDir;
}

function compare(dataDirs: readonly string[], highWatermark: bigint): Promise<Comparison> {
  return compareReplicas({ dataDirs, topicId: TOPIC_ID, partition: 0, highWatermark });
}

describe('replicas', () => {
  it('are the same when their batches are, wherever their segments roll and whatever is above the high watermark', async () => {
    const one = replica({ 0: [batch(0), batch(2), batch(4, 'only here')] });
    const other = replica({ 0: [batch(0)], 2: [batch(2), batch(4, 'other')] });
    expect(await compare([one, other, one], 4n)).toEqual({ from: 0n, batchCount: 2, divergence: undefined });
  });

  it('differ where one has another value, or only another epoch in a header', async () => {
    const one = replica({ 0: [batch(0), batch(2), batch(4)] });
    const value = replica({ 0: [batch(0), batch(2, 'else'), batch(4)] });
    const epoch = replica({ 0: [batch(0), batch(2), batch(4, 'same', 2)] });
    const kind = 'different bytes';
    expect((await compare([one, value], 6n)).divergence).toEqual({ kind, offset: 2n, dataDir: value });
    expect((await compare([one, one, epoch], 6n)).divergence).toEqual({ kind, offset: 4n, dataDir: epoch });
  });

  it('lack what is below the high watermark: at the end, within, or all of it', async () => {
    const kind = 'missing below the high watermark';
    const one = replica({ 0: [batch(0), batch(2), batch(4)] });
    const short = replica({ 0: [batch(0), batch(2)] });
    const holed = replica({ 0: [batch(0), batch(4)] });
    const empty = replica({});
    expect((await compare([one, short], 6n)).divergence).toEqual({ kind, offset: 4n, dataDir: short });
    expect((await compare([holed, one], 6n)).divergence).toEqual({ kind, offset: 2n, dataDir: holed });
    expect((await compare([one, empty], 6n)).divergence).toEqual({ kind, offset: 0n, dataDir: empty });
    expect((await compare([short, short], 6n)).divergence).toEqual({ kind, offset: 4n, dataDir: short });
  });

  it('are compared from the highest log start, which the answer tells', async () => {
    const one = replica({ 0: [batch(0, 'gone')], 2: [batch(2), batch(4)] });
    const trimmed = replica({ 2: [batch(2), batch(4)] });
    expect(await compare([one, trimmed], 6n)).toEqual({ from: 2n, batchCount: 2, divergence: undefined });
  });

  it('are damaged where a byte is wrong', async () => {
    const one = replica({ 0: [batch(0), batch(2)] });
    const flipped = replica({ 0: [batch(0), batch(2)] });
    const path = join(flipped, TOPIC_ID, '0', `${'0'.repeat(20)}.log`);
    const bytes = readFileSync(path);
    bytes.writeUInt8(bytes.readUInt8(bytes.length - 3) ^ 1, bytes.length - 3);
    writeFileSync(path, bytes);
    expect((await compare([one, flipped], 4n)).divergence).toEqual({ kind: 'damaged', offset: 2n, dataDir: flipped });
  });
});
