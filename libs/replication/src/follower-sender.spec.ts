import { expect, it } from 'vitest';
import { FollowerSender } from './follower-sender.ts';
import type { OutgoingAppend } from './follower-sender.ts';
import { configOf, TestReplica } from './testing/replica.fixture.ts';

it('sends a follower nothing before it has cut its log and says so, since it would drop that', () => {
  const replica = new TestReplica(configOf(3, 2));
  replica.elect(1);
  const join = { epoch: 1, brokerId: 2, replicaId: 'r2', nonce: 'j', history: [], logEnd: 0n, configFloor: 0 };
  const outcome = { joined: true, epoch: 1, truncateTo: 0n, fromSnapshot: false, unclean: [] };
  replica.feed({ kind: 'join', ...join, reply: () => {} });
  const sent: OutgoingAppend<string>[] = [];
  const sender = new FollowerSender<string>({
    state: () => replica.state,
    epoch: 1,
    brokerId: 2,
    nonce: 'j',
    source: {
      recent: () => ({ content: 'all', bytes: 1, endOffset: replica.state.logEnd }),
      read: () => Promise.reject(new Error('not asked for')),
      firstSnapshot: () => Promise.reject(new Error('not asked for')),
    },
    stream: { canSend: true, append: (message) => sent.push(message), snapshot: () => {}, fail: () => {} },
  });
  sender.begin(outcome);
  sender.tell();
  expect(sent).toEqual([]);
  replica.feed({ kind: 'follower-ack', epoch: 1, brokerId: 2, nonce: 'j', durableEnd: 0n, fsynced: true });
  sender.acked(0n);
  expect(sent).toMatchObject([{ baseOffset: 0n, batches: { content: 'all' } }]);
});
