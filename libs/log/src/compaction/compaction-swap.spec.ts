import { MemoryDisk } from '@partita/testkit';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Disk } from '../disk.ts';
import { segmentPath } from '../segment-files.ts';
import { PowerCut, PowerCutDisk } from '../testing/power-cut-disk.ts';
import { compactedPath } from './compacted-names.ts';
import {
  NEVER_COMPACTED,
  compactionStatePath,
  encodeCompactionState,
  readCompactionState,
} from './compaction-state.ts';
import type { CompactionState } from './compaction-state.ts';
import { finishCompaction, forgetCompaction, swapIn } from './compaction-swap.ts';

const DIR = '/p';
const BEFORE: CompactionState = { cleanedTo: 10n, passes: [{ cleanedTo: 10n, atMs: 5n }], pending: [] };
const AFTER: CompactionState = { ...BEFORE, cleanedTo: 60n, passes: [...BEFORE.passes, { cleanedTo: 60n, atMs: 9n }] };
const PENDING: CompactionState = { ...AFTER, pending: [[0n, 10n, 20n], [30n], [40n, 50n]] };

async function put(disk: Disk, path: string, content: string): Promise<void> {
  const file = await disk.open(path, 'create');
  await file.writev([Buffer.from(content)], 0);
  await file.datasync();
  await file.close();
}

/** Segments 0 to 70, of which 0 to 50 were compacted to three; everything durable. */
async function compactedDisk(): Promise<MemoryDisk> {
  const disk = new MemoryDisk();
  await disk.makeDirectory(DIR);
  for (const base of [0n, 10n, 20n, 30n, 40n, 50n, 60n, 70n]) {
    for (const kind of ['log', 'idx', 'snapshot'] as const)
      await put(disk, segmentPath(DIR, base, kind), `old ${base}`);
  }
  for (const [base] of PENDING.pending as [bigint][]) {
    for (const kind of ['log', 'idx'] as const) await put(disk, compactedPath(DIR, base, kind), `new ${base}`);
  }
  await disk.writeFileAtomically(compactionStatePath(DIR), encodeCompactionState(BEFORE));
  await disk.syncDirectory(DIR);
  return disk;
}

/** Every file of the log with its content; the state and what is being made left out. */
async function logFiles(disk: Disk): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for (const name of await disk.list(DIR)) {
    if (name === 'compaction' || name.endsWith('.new')) continue;
    files[name] = (await disk.readFile(`${DIR}/${name}`)).toString();
  }
  return files;
}

function filesOf(bases: Record<string, 'old' | 'new'>): Record<string, string> {
  const files: Record<string, string> = {};
  for (const [base, age] of Object.entries(bases)) {
    for (const kind of ['log', 'idx'] as const) {
      files[segmentPath(DIR, BigInt(base), kind).slice(DIR.length + 1)] = `${age} ${base}`;
    }
    files[segmentPath(DIR, BigInt(base), 'snapshot').slice(DIR.length + 1)] = `old ${base}`;
  }
  return files;
}

const ALL_OLD = filesOf({ 0: 'old', 10: 'old', 20: 'old', 30: 'old', 40: 'old', 50: 'old', 60: 'old', 70: 'old' });
const ALL_NEW = filesOf({ 0: 'new', 30: 'new', 40: 'new', 60: 'old', 70: 'old' });

async function operationsOf(work: (disk: Disk) => Promise<unknown>, disk: MemoryDisk): Promise<number> {
  const counting = new PowerCutDisk(disk);
  await work(counting);
  return counting.operationCount;
}

/** Runs the work until the power is cut before that operation; answers the disk after it. */
async function cut(
  disk: MemoryDisk,
  operation: number,
  work: (disk: Disk) => Promise<unknown>,
  survives: () => boolean,
): Promise<MemoryDisk> {
  const cutting = new PowerCutDisk(disk, operation);
  await work(cutting).catch((error: unknown) => {
    if (!(error instanceof PowerCut)) throw error;
  });
  return cutting.restart(survives);
}

/** A stream of decisions from a number, the same for the same number. */
function decisions(seed: number): () => boolean {
  let state = (seed * 2654435761 + 1) >>> 0;
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) >>> 0;
    return ((state >>> 13) & 1) === 1;
  };
}

const swap = (disk: Disk): Promise<unknown> => swapIn(disk, DIR, PENDING);
const finish = (disk: Disk): Promise<unknown> => finishCompaction(disk, DIR);

describe('swapIn', () => {
  it('puts the new segments in place of their sources', async () => {
    const disk = await compactedDisk();
    expect(await swapIn(disk, DIR, PENDING)).toEqual(AFTER);
    disk.crash();
    expect(await logFiles(disk)).toEqual(ALL_NEW);
    expect(await readCompactionState(disk, DIR)).toEqual(AFTER);
    expect(await finishCompaction(disk, DIR)).toEqual(AFTER);
    expect(await logFiles(disk)).toEqual(ALL_NEW);
  });

  it('only notes the state when nothing was compacted', async () => {
    const disk = await compactedDisk();
    await swapIn(disk, DIR, AFTER);
    expect(await readCompactionState(disk, DIR)).toEqual(AFTER);
    await finishCompaction(disk, DIR);
    expect(await logFiles(disk)).toEqual(ALL_OLD);
  });

  it('touches nothing when a new segment is not there', async () => {
    const disk = await compactedDisk();
    await disk.unlink(compactedPath(DIR, 30n, 'log'));
    const before = await logFiles(disk);
    await expect(swapIn(disk, DIR, PENDING)).rejects.toThrow('exists before');
    expect(await logFiles(disk)).toEqual(before);
    expect(await readCompactionState(disk, DIR)).toEqual(BEFORE);
  });

  it('is all old or all new after a power cut at any operation, and at any of each start after it', async () => {
    const operations = await operationsOf(swap, await compactedDisk());
    expect(operations).toBeGreaterThan(25);
    const seen = { old: 0, new: 0 };
    for (let first = 0; first <= operations; first += 1) {
      for (let seed = 0; seed < 24; seed += 1) {
        // Nothing unsynced survived, all did, or any part.
        const survives = seed === 0 ? () => false : seed === 1 ? () => true : decisions(seed * 1000 + first);
        let disk = await cut(await compactedDisk(), first, swap, survives);
        for (let start = 0; start < 3; start += 1) {
          disk = await cut(
            disk,
            (seed * 7 + start * 5 + first) % 12,
            finish,
            decisions(seed + start * 31 + first * 17),
          );
        }
        const state = await finishCompaction(disk, DIR);
        disk.crash();
        const isNew = state?.cleanedTo === AFTER.cleanedTo;
        seen[isNew ? 'new' : 'old'] += 1;
        expect(state).toEqual(isNew ? AFTER : BEFORE);
        expect(await logFiles(disk)).toEqual(isNew ? ALL_NEW : ALL_OLD);
        expect(await readCompactionState(disk, DIR)).toEqual(state);
      }
    }
    expect(seen.old).toBeGreaterThan(20);
    expect(seen.new).toBeGreaterThan(20);
  });

  it('completes after a power cut at every operation of the start that completes it', async () => {
    // The power went with the intent durable and nothing else done.
    const begin = async (): Promise<MemoryDisk> => {
      const disk = await compactedDisk();
      await disk.writeFileAtomically(compactionStatePath(DIR), encodeCompactionState(PENDING));
      return disk;
    };
    const operations = await operationsOf(finish, await begin());
    for (let first = 0; first <= operations; first += 1) {
      for (let seed = 0; seed < 24; seed += 1) {
        const disk = await cut(await begin(), first, finish, seed === 0 ? () => true : decisions(seed * 99 + first));
        expect(await finishCompaction(disk, DIR)).toEqual(AFTER);
        disk.crash();
        expect(await logFiles(disk)).toEqual(ALL_NEW);
      }
    }
  });
});

describe('finishCompaction', () => {
  it('removes what a compaction left that did not come to a swap, for good', async () => {
    const disk = await compactedDisk();
    expect(await finishCompaction(disk, DIR)).toEqual(BEFORE);
    disk.crash();
    expect(await logFiles(disk)).toEqual(ALL_OLD);
  });

  it('refuses a damaged state while new segments exist, and never takes a mixed log for whole', async () => {
    const operations = await operationsOf(swap, await compactedDisk());
    const seen = { refused: 0, whole: 0 };
    for (let operation = 0; operation <= operations; operation += 1) {
      for (let seed = 0; seed < 24; seed += 1) {
        const disk = await cut(await compactedDisk(), operation, swap, decisions(seed * 77 + operation));
        disk.tamper(compactionStatePath(DIR), (content) => {
          content[9]! ^= 1;
          return content;
        });
        const before = await logFiles(disk);
        const state = await finishCompaction(disk, DIR).catch((error: unknown) => {
          expect(error).toMatchObject({ reason: 'CORRUPT_BATCH' });
          return undefined;
        });
        seen[state === undefined ? 'refused' : 'whole'] += 1;
        if (state !== undefined) expect(state.cleanedTo).toBe(0n);
        expect(await logFiles(disk)).toEqual(state === undefined ? before : ALL_NEW);
        // Made anew, so that readers go on to expect holes.
        if (state !== undefined) expect(await finishCompaction(disk, DIR)).toEqual(NEVER_COMPACTED);
      }
    }
    expect(seen.refused).toBeGreaterThan(20);
    expect(seen.whole).toBeGreaterThan(10);
  });

  it('refuses when neither the new segment nor one in its place exists', async () => {
    const disk = await compactedDisk();
    await disk.writeFileAtomically(compactionStatePath(DIR), encodeCompactionState(PENDING));
    await disk.unlink(compactedPath(DIR, 0n, 'log'));
    await disk.unlink(segmentPath(DIR, 0n, 'log'));
    await expect(finishCompaction(disk, DIR)).rejects.toMatchObject({ reason: 'CORRUPT_BATCH' });
    expect(disk.has(segmentPath(DIR, 10n, 'log'))).toBe(true);
  });

  it('does nothing for a log that was never compacted', async () => {
    const disk = new MemoryDisk();
    await disk.makeDirectory(DIR);
    const operations = await operationsOf(finish, disk);
    expect(operations).toBe(0);
  });

  it('knows nothing of a log that was begun anew', async () => {
    const disk = await compactedDisk();
    await forgetCompaction(disk, DIR);
    disk.crash();
    expect(await finishCompaction(disk, DIR)).toBeUndefined();
  });
});

describe('the power-cut disk', () => {
  it('loses and keeps unsynced names as told, renames whole', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.boolean(), { minLength: 2, maxLength: 2 }), async (kept) => {
        const memory = await compactedDisk();
        const disk = new PowerCutDisk(memory);
        await disk.unlink(segmentPath(DIR, 70n, 'log'));
        await disk.rename(segmentPath(DIR, 60n, 'log'), `${DIR}/moved`);
        const answers = [...kept];
        await disk.restart(() => answers.shift() ?? false);
        expect(memory.has(segmentPath(DIR, 70n, 'log'))).toBe(!kept[0]);
        expect(memory.has(segmentPath(DIR, 60n, 'log'))).toBe(!kept[1]);
        expect(memory.has(`${DIR}/moved`)).toBe(kept[1]);
      }),
    );
  });
});
