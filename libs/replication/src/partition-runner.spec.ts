import { expect, it } from 'vitest';
import type { AppendOutcome, LeadOutcome, PromiseOutcome } from './messages.ts';
import { PartitionRunner } from './partition-runner.ts';
import type { PartitionState } from './partition-state.ts';
import { configOf, TestReplica } from './testing/replica.fixture.ts';

/** A runner on ports that take everything and finish nothing; `journaled` ends the entry under way. */
function runnerOf(state: PartitionState): { runner: PartitionRunner; journaled: () => Promise<void> } {
  let journaled = (): void => undefined;
  const runner = new PartitionRunner({
    state,
    log: {
      append: () => undefined,
      appendEpochStart: () => undefined,
      appendConfig: () => undefined,
      store: () => undefined,
      cut: () => Promise.reject(new Error('nothing is cut here')),
      install: () => Promise.reject(new Error('nothing is installed here')),
      trim: () => undefined,
    },
    journal: { persist: () => new Promise<void>((resolve) => (journaled = resolve)) },
    links: { seek: () => undefined, join: () => undefined, ack: () => undefined, fenced: () => undefined },
    clock: { monotonicMs: () => 0, wallMs: () => 1000 },
    observer: { onChanged: () => undefined, onAppended: () => undefined, onStopped: () => undefined },
  });
  return {
    runner,
    journaled: async () => {
      journaled();
      await Promise.resolve();
    },
  };
}

function append(runner: PartitionRunner, outcomes: AppendOutcome[]): void {
  runner.feed({
    kind: 'append',
    batch: new Uint8Array(1),
    recordCount: 1,
    acks: 'all',
    leaderEpoch: 0,
    expectedNextOffset: undefined,
    claimEpoch: 0,
    claim: undefined,
    producer: undefined,
    wallMs: 1000,
    deadlineMs: 1000,
    reply: (outcome) => outcomes.push(outcome),
  });
}

it('answers whoever waits for a replica that is ended, and nobody twice', async () => {
  const replica = new TestReplica(configOf(1, 1));
  replica.elect(1);
  const { runner, journaled } = runnerOf(replica.state);
  const appends: AppendOutcome[] = [];
  const promises: PromiseOutcome[] = [];
  append(runner, appends);
  runner.feed({ kind: 'promise', epoch: 2, nonce: 'n2', reply: (outcome) => promises.push(outcome) });
  expect([appends, promises]).toEqual([[], []]);
  runner.end();
  expect(appends).toMatchObject([{ ok: false, error: { reason: 'OUTCOME_UNKNOWN' } }]);
  expect(promises).toMatchObject([{ granted: false, promisedEpoch: 1 }]);
  await journaled();
  runner.feed({ kind: 'synced', end: 2n });
  runner.end();
  expect([appends.length, promises.length]).toEqual([1, 1]);
  append(runner, appends);
  expect(appends.at(-1)).toMatchObject({ ok: false, error: { reason: 'STORAGE_FAILED' } });
});

it('lets no replica lead that is ended while it becomes leader', async () => {
  const replica = new TestReplica(configOf(1, 1));
  replica.promise(1, 'n1');
  replica.settleJournal();
  const { runner, journaled } = runnerOf(replica.state);
  const leads: LeadOutcome[] = [];
  const reply = (outcome: LeadOutcome) => leads.push(outcome);
  const order = { epoch: 1, nonce: 'n1', lastEpoch: 0, logEnd: 0n, configFloor: 0, unclean: false };
  runner.feed({ kind: 'lead', ...order, reply });
  expect(leads).toEqual([]);
  runner.end();
  expect(leads).toMatchObject([{ leading: false }]);
  await journaled();
  expect(runner.state.role.kind).not.toBe('leader');
  expect(leads).toHaveLength(1);
});
