/** Every way in which a real redis-server refuses: each is one typed error, and passes when its cause does. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { LeaseToken, MetadataStore } from './metadata-store.ts';
import { brokerEntry, EMPTY } from './samples.conformance.ts';
import { hasRedis, OwnRedis } from './testing/own-redis.ts';

describe.runIf(hasRedis)('a Redis that refuses', () => {
  let redis: OwnRedis;
  let raw: OwnRedis['raw'];
  let store: MetadataStore;
  let token: LeaseToken;
  let brokerId = 0;

  beforeAll(async () => {
    redis = await OwnRedis.start('--enable-protected-configs', 'yes');
    raw = redis.raw;
  });
  afterAll(() => redis.dispose());
  beforeEach(async () => {
    await raw.flushall();
    store = redis.open();
    await store.connect();
    const attempt = await store.leaseAcquire({ run: 'run-a', url: 'http://a', ttlMs: 60_000 });
    if ('heldBy' in attempt) throw new Error('held');
    token = attempt.token;
    await store.rebuild(token, { expectedGeneration: undefined, newGeneration: randomUUID(), content: EMPTY });
  });
  afterEach(() => store.close());

  const write = () => store.putBroker(token, brokerEntry((brokerId += 1)));
  const renew = () => store.leaseRenew(token);

  /** The call ends in the one error that says that Redis does not serve, with what Redis said. */
  const expectRefused = async (call: () => Promise<unknown>, said: RegExp): Promise<void> => {
    const error = await call().then(
      () => undefined,
      (refused: unknown) => refused,
    );
    expect(error).toMatchObject({ reason: 'METADATA_STORE_UNAVAILABLE' });
    expect(String(error)).toMatch(said);
    expect(String(error)).not.toContain('secret');
  };
  const untilServed = async (): Promise<void> => {
    await expect
      .poll(() => write().catch((error: unknown) => String(error)), { timeout: 10_000, interval: 50 })
      .toMatchObject({ status: 'written' });
    expect(await store.readMeta()).toMatchObject({ status: 'current' });
  };

  it('because it is a copy of another', async () => {
    await raw.replicaof('127.0.0.1', '1');
    await expectRefused(renew, /READONLY|MASTERDOWN|does not serve/);
    await expectRefused(write, /READONLY|MASTERDOWN|does not serve/);
    await raw.replicaof('NO', 'ONE');
    await untilServed();
  });

  it('because its memory is full', async () => {
    await raw.config('SET', 'maxmemory', '1');
    await expectRefused(write, /OOM/);
    await raw.config('SET', 'maxmemory', '0');
    await untilServed();
  });

  it('because it cannot save', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'partita-unsaved-'));
    await raw.config('SET', 'dir', folder);
    rmSync(folder, { recursive: true });
    await raw.config('SET', 'save', '3600 1');
    await raw.bgsave();
    await expect.poll(() => raw.info('persistence')).toContain('rdb_last_bgsave_status:err');
    await expectRefused(write, /MISCONF/);
    await raw.config('SET', 'save', '');
    await raw.config('SET', 'dir', redis.folder);
    await untilServed();
  });

  it('because it wants a password', async () => {
    await raw.config('SET', 'requirepass', 'secret');
    await raw.client('KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    await expect
      .poll(() => renew().catch((error: unknown) => String(error)))
      .toMatch(/NOAUTH|does not serve|not connected/);
    await expectRefused(write, /NOAUTH|does not serve|not connected/);
    await raw.config('SET', 'requirepass', '');
    await untilServed();
  });

  it('because a script of another runs and runs', async () => {
    await raw.config('SET', 'lua-time-limit', '50');
    const other = raw.duplicate();
    await once(other, 'ready');
    const endless = other.eval('while true do end', 0).catch((error: unknown) => String(error));
    await expect.poll(() => renew().catch((error: unknown) => String(error))).toMatch(/BUSY|timed out/);
    await expectRefused(write, /BUSY|timed out/);
    await raw.script('KILL');
    expect(await endless).toContain('killed');
    other.disconnect();
    await untilServed();
  });

  it('because it lets nobody write for a while', async () => {
    await raw.client('PAUSE', 2500, 'WRITE');
    await expectRefused(write, /timed out/);
    await untilServed();
  });

  it('because it still loads its data', { timeout: 30_000 }, async () => {
    for (let at = 0; at < 150; at += 1) await raw.set(`filling-${at}`, 'x'.repeat(2000));
    await redis.stop();
    const starting = redis.start('--key-load-delay', '5000', '--loading-process-events-interval-bytes', '1024');
    await expectRefused(write, /LOADING|does not serve|not connected/);
    await starting;
    await raw.config('SET', 'key-load-delay', '0');
    await untilServed();
  });

  it('because it has forgotten every script', async () => {
    await raw.script('FLUSH');
    expect(await renew()).toMatchObject({ status: 'written' });
    await raw.script('FLUSH');
    expect(await write()).toMatchObject({ status: 'written' });
  });
});
