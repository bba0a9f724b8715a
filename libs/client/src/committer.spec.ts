import { PartitaError } from '@partita/domain';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { CommitSpans } from './commit-spans.ts';
import { Committer } from './committer.ts';
import { HeldPartition } from './held-partition.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it('once stopped tries nothing again of what was under way when the stream broke: nothing keeps the process alive', () => {
  let sentCount = 0;
  const committer = new Committer(
    () => {
      sentCount += 1;
      return true;
    },
    new CommitSpans({ tracer: undefined, group: 'g' }),
  );
  const held = new HeldPartition({ topic: 't', partition: 0, assignmentEpoch: 2, startOffset: 0n });
  held.finished = { nextOffset: 5n, recordEpoch: 1 };
  committer.finished(held, 1);
  vi.runAllTimers();
  expect(sentCount).toBe(1);
  committer.streamLost(new PartitaError('SERVICE_UNREACHABLE', 'gone'));
  vi.runAllTimers();
  expect(sentCount).toBe(2);
  committer.stop();
  committer.streamLost(new PartitaError('SERVICE_UNREACHABLE', 'gone'));
  committer.finished(held, 1);
  expect(vi.getTimerCount()).toBe(0);
});
