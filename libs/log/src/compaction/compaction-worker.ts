/** The compaction process, see CompactionProcess: runs one plan at a time on the disk of this machine. Ends with its parent. */
import { randomInt } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import { invariant } from '@partita/domain';
import { createNodeDisk } from '../node-disk.ts';
import { compactSegments } from './compact-segments.ts';
import { faultOf } from './compaction-messages.ts';
import type { CompactionAnswer, CompactionOrder } from './compaction-messages.ts';
import type { CompactionPlan } from './compaction-plan.ts';
import { lowerThreadPriority } from './thread-priority.ts';

const HASH_SEED_END = 2 ** 32;

invariant(process.send !== undefined, 'this file is the entry of a forked process');
lowerThreadPriority();
const disk = createNodeDisk();
const cancelled = new AbortController();

async function run(plan: CompactionPlan): Promise<CompactionAnswer> {
  const { signal } = cancelled;
  try {
    const result = await compactSegments(disk, plan, {
      monotonicMs: () => performance.now(),
      wait: async (ms) => {
        signal.throwIfAborted();
        if (ms > 0) await setTimeout(ms, undefined, { signal });
      },
      hashSeed: randomInt(HASH_SEED_END),
    });
    return { kind: 'done', result };
  } catch (error) {
    return { kind: 'failed', fault: faultOf(error, plan.directory) };
  }
}

process.on('disconnect', () => process.exit());
// Ctrl-C reaches all processes of a terminal; the broker says when this one ends.
process.on('SIGINT', () => undefined);

process.on('message', (order: CompactionOrder) => {
  if (order.kind === 'cancel') {
    cancelled.abort();
    return;
  }
  void run(order.plan).then((answer) => {
    process.send?.(answer);
  });
});
