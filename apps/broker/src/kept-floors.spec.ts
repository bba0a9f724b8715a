import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KEPT_FLOOR_COUNT_MAX } from '@partita/domain';
import { openJournal } from '@partita/log';
import type { Journal } from '@partita/log';
import { KeptFloor, ReplicaMeta } from '@partita/protocol';
import { MemoryDisk } from '@partita/testkit';
import { floorKey, replicaKey } from './journal-keys.ts';
import { floorRoomFault, keptFloor, keptFloors, raisedFloor } from './kept-floors.ts';
import { finishReplicaDeletions } from './replica-deletion.ts';

const TOPIC_ID = '0190a000-0000-7000-8000-00000000aaaa';

let dir: string;
let journal: Journal;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'partita-floors-'));
  const disk = new MemoryDisk();
  await disk.makeDirectory(dir);
  journal = await openJournal({ disk, dir, bytesMax: 6 * 1024 * 1024 });
});
afterEach(async () => {
  await journal.close();
  await rm(dir, { recursive: true });
});

function floor(configFloor: number, promisedEpoch: number, deleteTimeMs = 0n): KeptFloor {
  return { configFloor, promisedEpoch, replicaId: `replica-${configFloor}`, deleteTimeMs };
}

async function keep(...partitions: number[]): Promise<void> {
  const value = KeptFloor.encode(floor(1, 1)).finish();
  await journal.put(new Map(partitions.map((partition) => [floorKey({ topicId: TOPIC_ID, partition }), value])));
}

describe('what is kept of deleted replicas', () => {
  it('never falls', () => {
    expect(raisedFloor(undefined, floor(3, 5))).toEqual(floor(3, 5));
    expect(raisedFloor(floor(7, 2), floor(3, 5))).toEqual({ ...floor(3, 5), configFloor: 7 });
    expect(raisedFloor(floor(2, 9), floor(3, 5))).toEqual({ ...floor(3, 5), promisedEpoch: 9 });
  });

  it('is limited: beyond, a replica stays, but one of a partition that is known may go', async () => {
    await keep(...Array.from({ length: KEPT_FLOOR_COUNT_MAX - 1 }, (_, partition) => partition));
    const place = { topicId: TOPIC_ID, partition: KEPT_FLOOR_COUNT_MAX };
    expect(floorRoomFault(journal, place)).toBeUndefined();
    await keep(KEPT_FLOOR_COUNT_MAX - 1);
    expect(floorRoomFault(journal, place)?.reason).toBe('LIMIT_EXCEEDED');
    expect(floorRoomFault(journal, { ...place, partition: 4 })).toBeUndefined();
  });

  it('says which files to remove at a start: of those alone that the journal no longer has', async () => {
    const [gone, again, unknown] = [0, 1, 2].map((partition) => ({ topicId: TOPIC_ID, partition }));
    const meta = ReplicaMeta.fromPartial({ replicaId: 'another' });
    const value = KeptFloor.encode(floor(3, 5)).finish();
    await journal.put(
      new Map([
        [floorKey(gone!), value],
        [floorKey(again!), value],
        [replicaKey(again!), ReplicaMeta.encode(meta).finish()],
      ]),
    );
    for (const { partition } of [gone!, again!, unknown!]) {
      await mkdir(join(dir, TOPIC_ID, String(partition)), { recursive: true });
      await writeFile(join(dir, TOPIC_ID, String(partition), '0.log'), 'bytes');
    }
    await mkdir(join(dir, TOPIC_ID, '0.damaged'));
    await finishReplicaDeletions({ dir, journal }, () => false);
    expect((await readdir(join(dir, TOPIC_ID))).sort()).toEqual(['1', '2']);
    expect(keptFloor(journal, gone!)).toEqual(floor(3, 5));
  });

  it('is forgotten when nobody can ask any more, unless there is a replica again', async () => {
    const [old, fresh, again] = [0, 1, 2].map((partition) => ({ topicId: TOPIC_ID, partition }));
    const meta = ReplicaMeta.fromPartial({ replicaId: 'another' });
    await journal.put(
      new Map([
        [floorKey(old!), KeptFloor.encode(floor(3, 5, 1n)).finish()],
        [floorKey(fresh!), KeptFloor.encode(floor(3, 5, 9n)).finish()],
        [floorKey(again!), KeptFloor.encode(floor(3, 5, 1n)).finish()],
        [replicaKey(again!), ReplicaMeta.encode(meta).finish()],
      ]),
    );
    await finishReplicaDeletions({ dir, journal }, ({ deleteTimeMs }) => deleteTimeMs < 5n);
    expect([...keptFloors(journal).keys()].sort()).toEqual([`${TOPIC_ID}/1`, `${TOPIC_ID}/2`]);
  });
});
