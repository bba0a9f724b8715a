import { beforeEach, describe, expect, it } from 'vitest';
import { PartitaError } from '../errors.ts';
import type { Clock, Timers } from '../ports.ts';
import { DelayRoom } from './delay-lanes.ts';
import { QuotaBrake } from './quota-brake.ts';
import { QuotaBuckets } from './quota-buckets.ts';
import { QuotaGate } from './quota-gate.ts';
import type { QuotaLoad } from './quota-gate.ts';
import { GATEWAY_CLIENT_ID } from './quota.ts';
import type { Quota, QuotaKind } from './quota.ts';

/** Time that passes when told to; timers fire in their order. */
class HandClock implements Clock, Timers {
  #nowMs = 0;
  #due: { readonly atMs: number; readonly work: () => void }[] = [];
  wallMs = (): number => this.#nowMs;
  monotonicMs = (): number => this.#nowMs;

  after(delayMs: number, work: () => void) {
    const timer = { atMs: this.#nowMs + delayMs, work };
    this.#due.push(timer);
    return { cancel: () => void (this.#due = this.#due.filter((other) => other !== timer)) };
  }

  advance(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      const next = this.#due.filter(({ atMs }) => atMs <= untilMs).sort((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined) break;
      this.#due = this.#due.filter((other) => other !== next);
      this.#nowMs = next.atMs;
      next.work();
    }
    this.#nowMs = untilMs;
  }
}

const quota = (clientId: string, topic: string, produce?: number, consume?: number): Quota => ({
  clientId,
  topic,
  produceBytesPerSecond: produce,
  consumeBytesPerSecond: consume,
});

let clock: HandClock;
let share: number;
let refused: QuotaKind[];
let went: string[];

beforeEach(() => {
  clock = new HandClock();
  share = 1;
  refused = [];
  went = [];
});

function gateOf(quotas: readonly Quota[]) {
  const buckets = new QuotaBuckets('produce', () => share);
  buckets.set(quotas);
  const meter = { delayed: () => {}, refused: (kind: QuotaKind) => void refused.push(kind) };
  const gate = new QuotaGate({ buckets, clock, timers: clock, meter });
  const pass = (name: string, bytes: number, load: Partial<QuotaLoad> = {}): PartitaError | undefined => {
    const { clientId = 'c', topic = 't' } = load;
    const whole = {
      lane: clientId + topic,
      deadlineAtMs: clock.monotonicMs() + 30_000,
      ...load,
      clientId,
      topic,
      bytes,
    };
    try {
      gate.pass(whole, () => void went.push(name));
      return undefined;
    } catch (error) {
      if (error instanceof PartitaError) return error;
      throw error;
    }
  };
  return { buckets, gate, pass };
}

describe('a gate', () => {
  it('is off without quotas of its use', () => {
    expect(gateOf([]).gate.isOn).toBe(false);
    expect(gateOf([quota('', 't', undefined, 1024)]).gate.isOn).toBe(false);
    expect(gateOf([quota('', 't', 1024)]).gate.isOn).toBe(true);
  });

  it('lets a second go at once, then delays in order, then refuses with the time to wait', () => {
    const { pass } = gateOf([quota('', 't', 2000)]);
    expect(pass('first', 2000)).toBeUndefined();
    expect(pass('second', 1000)).toBeUndefined();
    expect(pass('third', 1000)).toBeUndefined();
    const error = pass('fourth', 500);
    expect(error).toMatchObject({
      reason: 'QUOTA_EXCEEDED',
      metadata: { quota: 'topic:t', limit: '2000' },
      retryAfterMs: 1250,
    });
    expect(went).toEqual(['first']);
    clock.advance(500);
    expect(went).toEqual(['first', 'second']);
    clock.advance(500);
    expect(went).toEqual(['first', 'second', 'third']);
    expect(refused).toEqual(['topic']);
  });

  it('lets nothing overtake in a lane, not even what would fit', () => {
    const { pass, gate } = gateOf([quota('', 't', 2000)]);
    pass('first', 2000);
    pass('waits', 1500);
    clock.advance(700);
    expect(pass('behind', 1)).toBeUndefined();
    expect(went).toEqual(['first']);
    clock.advance(100);
    expect(went).toEqual(['first', 'waits', 'behind']);
    expect(gate.delayedBytes).toBe(0);
  });

  it('waits for half of the time that is left at most', () => {
    const { pass } = gateOf([quota('', 't', 2000)]);
    pass('first', 2000);
    expect(pass('hurried', 1000, { deadlineAtMs: 900 })?.reason).toBe('QUOTA_EXCEEDED');
    expect(pass('patient', 1000, { deadlineAtMs: 1100 })).toBeUndefined();
  });

  it('does not charge what it refuses', () => {
    const { pass } = gateOf([quota('', 't', 2000)]);
    pass('first', 2000);
    for (let count = 0; count < 50; count += 1) pass('refused', 2000, { deadlineAtMs: 10 });
    clock.advance(1000);
    expect(pass('again', 2000)).toBeUndefined();
    expect(went).toEqual(['first', 'again']);
  });

  it('bounds what waits of one stream', () => {
    const { pass } = gateOf([quota('', 't', 2000)]);
    const room = new DelayRoom(2, 1_000_000);
    pass('first', 2000, { room });
    expect([1, 2, 3].map((at) => pass(`w${at}`, 10, { room })?.reason)).toEqual([
      undefined,
      undefined,
      'QUOTA_EXCEEDED',
    ]);
  });

  it('holds a client by its most specific quota, and the topic by its own as well', () => {
    const { pass } = gateOf([quota('', '', 1024), quota('c', '', 4000), quota('c', 't', 3000), quota('', 'u', 1500)]);
    const limitOf = (clientId: string, topic: string) => {
      pass('', 100_000, { clientId, topic });
      return pass('', 100_000, { clientId, topic })?.metadata;
    };
    expect(limitOf('c', 't')).toEqual({ quota: 'client:c,topic:t', limit: '3000' });
    expect(limitOf('c', 'other')).toEqual({ quota: 'client:c', limit: '4000' });
    expect(limitOf('d', 'other')).toEqual({ quota: 'client:d', limit: '1024' });
    expect(limitOf('e', 'u')).toEqual({ quota: 'client:e', limit: '1024' });
    expect(limitOf('c', 'u')).toEqual({ quota: 'topic:u', limit: '1500' });
  });

  it('gives each client of the default a rate of its own', () => {
    const { pass } = gateOf([quota('', '', 2000)]);
    expect(pass('a', 2000, { clientId: 'a' })).toBeUndefined();
    expect(pass('b', 2000, { clientId: 'b' })).toBeUndefined();
    expect(went).toEqual(['a', 'b']);
  });

  it('holds a service by the topic only', () => {
    const { pass } = gateOf([quota('', '', 1024), quota('', 't', 2000)]);
    pass('', 100_000, { clientId: GATEWAY_CLIENT_ID, topic: 'u' });
    expect(pass('free', 100_000, { clientId: GATEWAY_CLIENT_ID, topic: 'u' })).toBeUndefined();
    pass('', 2000, { clientId: GATEWAY_CLIENT_ID });
    expect(pass('', 5000, { clientId: GATEWAY_CLIENT_ID })).toBeUndefined();
    expect(pass('', 5000, { clientId: GATEWAY_CLIENT_ID })?.metadata).toEqual({ quota: 'topic:t', limit: '2000' });
  });

  it('enforces its share, and follows it when it changes', () => {
    share = 0.5;
    const { pass } = gateOf([quota('', 't', 2000)]);
    pass('first', 1000);
    pass('second', 1000);
    clock.advance(999);
    expect(went).toEqual(['first']);
    clock.advance(1);
    expect(went).toEqual(['first', 'second']);
    share = 1;
    clock.advance(2000);
    pass('third', 1000);
    clock.advance(500);
    pass('fourth', 1000);
    expect(went.at(-1)).toBe('fourth');
  });

  it('keeps the order of what waits when quotas are removed, and is off once nothing waits', () => {
    const { buckets, gate, pass } = gateOf([quota('', 't', 2000)]);
    pass('first', 2000);
    pass('waits', 1000);
    buckets.set([]);
    expect(gate.isOn).toBe(true);
    pass('free', 1_000_000);
    expect(went).toEqual(['first']);
    clock.advance(500);
    expect(went).toEqual(['first', 'waits', 'free']);
    expect(gate.isOn).toBe(false);
  });
});

describe('a brake', () => {
  it('charges what was sent, and holds until that is paid back', () => {
    const buckets = new QuotaBuckets('consume', () => 1);
    buckets.set([quota('', 't', undefined, 2000)]);
    const delays: number[] = [];
    const brake = new QuotaBrake(buckets, clock, { delayed: (_kind, _topic, ms) => void delays.push(ms) });
    expect(brake.waitMs('c', 't')).toBe(0);
    expect([brake.sliceBytes('c', 't'), brake.sliceBytes('c', 'other')]).toEqual([500, Infinity]);
    brake.spend('c', 't', 4000);
    expect(brake.waitMs('c', 't')).toBe(1001);
    brake.noteHold('c', 't', 1001);
    brake.noteHold('c', 'other', 1001);
    expect(brake.waitMs('c', 'other')).toBe(0);
    clock.advance(1001);
    expect(brake.waitMs('c', 't')).toBe(0);
    expect(delays).toEqual([1001]);
  });
});
