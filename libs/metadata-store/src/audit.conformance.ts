/** The audit trail of every metadata store. Run from a spec for each implementation, on a directory that starts empty. */
import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import { EMPTY, refusal, topicEntry } from './samples.conformance.ts';
import type { StoreHarness } from './store.conformance.ts';

const CLUSTER_ID = '0c9e3f5a-0000-4000-8000-000000000001';

export function auditConformance(harness: () => StoreHarness): void {
  it('keeps an audit trail, page by page from the newest', async () => {
    const store = harness().open(CLUSTER_ID);
    await store.connect();
    const attempt = await store.leaseAcquire({ run: 'run', url: 'http://run', ttlMs: 60_000 });
    if ('heldBy' in attempt) throw new Error('the lease is held');
    const { token } = attempt;
    await store.rebuild(token, { expectedGeneration: undefined, newGeneration: randomUUID(), content: EMPTY });
    const entries = Array.from({ length: 5 }, (_, index) => ({
      operation: 'topic_create',
      resource: `t${index}`,
      clientId: index % 2 === 0 ? 'ann' : '',
      timeMs: 1000 + index,
      details: '{"partitions":1}',
    }));
    await store.appendAudit(token, entries.slice(0, 3));
    await store.createTopic(token, topicEntry('between'));
    await store.appendAudit(token, entries.slice(3));
    const first = await store.readAudit(2, undefined);
    expect(first.entries).toEqual([entries[4], entries[3]]);
    const second = await store.readAudit(9, first.next);
    expect(second).toEqual({ entries: [entries[2], entries[1], entries[0]], next: undefined });
    expect(await refusal(store.readAudit(9, 'x'))).toMatchObject({ reason: 'INVALID_PAGE_TOKEN' });
    await expect(store.appendAudit({ ...token, run: 'another' }, entries)).rejects.toMatchObject({
      reason: 'NOT_ACTIVE_COORDINATOR',
    });
    await store.close();
  });
}
