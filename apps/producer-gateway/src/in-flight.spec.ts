import { PartitaError } from '@partita/domain';
import { retryAdviceOf } from '@partita/rpc';
import { describe, expect, it } from 'vitest';
import type { Caller } from './caller.ts';
import { InFlight } from './in-flight.ts';
import type { HeldRequest, InFlightLimits, ShedBy } from './in-flight.ts';

const LIMITS = { total: 1000, client: 400, connection: 300, leader: 350 };

function setUp(limits: Partial<InFlightLimits> = {}) {
  const shed: ShedBy[] = [];
  const inFlight = new InFlight((by) => shed.push(by), { ...LIMITS, ...limits });
  const enter = (client: string, connection: string, bytes: number): HeldRequest =>
    inFlight.enter({ client, connection, isOver: false } satisfies Caller, bytes);
  return { inFlight, enter, shed };
}

function refusalOf(work: () => unknown): PartitaError {
  try {
    work();
  } catch (error) {
    if (error instanceof PartitaError) return error;
  }
  throw new Error('it was not refused');
}

describe('what is in flight', () => {
  it('is bounded for a connection, and another connection of the client goes on', () => {
    const { enter, shed } = setUp();
    const first = enter('a', 'a:1', 250);
    const refusal = refusalOf(() => enter('a', 'a:1', 51));
    expect(refusal).toMatchObject({ reason: 'QUEUE_FULL', metadata: { queue: 'connection', limit: '300' } });
    expect(refusal.retryAfterMs).toBeGreaterThanOrEqual(200);
    expect(retryAdviceOf(refusal)).toBe('AFTER_DELAY');
    enter('a', 'a:2', 51);
    first.release();
    enter('a', 'a:1', 300);
    expect(shed).toEqual(['connection']);
  });

  it('is bounded for a client over all its connections, and another client goes on', () => {
    const { enter, shed } = setUp();
    enter('a', 'a:1', 250);
    enter('a', 'a:2', 150);
    const refusal = refusalOf(() => enter('a', 'a:3', 1));
    expect(refusal.metadata).toEqual({ queue: 'client', limit: '400' });
    enter('b', 'b:1', 250);
    expect(shed).toEqual(['client']);
  });

  it('is bounded in all', () => {
    const { enter, shed } = setUp();
    for (const client of ['a', 'b', 'c', 'd']) enter(client, `${client}:1`, 240);
    expect(refusalOf(() => enter('e', 'e:1', 41)).metadata).toEqual({ queue: 'gateway', limit: '1000' });
    enter('e', 'e:1', 40);
    expect(shed).toEqual(['gateway']);
  });

  it('lets one request through whatever its size, where nothing else is under way', () => {
    const { enter } = setUp();
    const huge = enter('a', 'a:1', 5000);
    expect(huge.toLeader(1, 1)).toBeUndefined();
    expect(refusalOf(() => enter('b', 'b:1', 1)).metadata['queue']).toBe('gateway');
    huge.release();
    enter('b', 'b:1', 1);
  });

  it('always leaves room for a newcomer, however many clients are greedy', () => {
    const { inFlight, enter } = setUp({ connection: 1000, client: 1000 });
    const greedy = Array.from({ length: 9 }, (_, index) => `greedy-${index}`);
    // Each takes what it gets, a little at a time, until nobody gets anything.
    for (let taken = true; taken;) {
      taken = false;
      for (const client of greedy) {
        try {
          enter(client, `${client}:1`, 5);
          taken = true;
        } catch (error) {
          expect(error).toMatchObject({ metadata: { queue: 'client' } });
        }
      }
    }
    expect(inFlight.bytes).toBeLessThanOrEqual(900);
    expect(inFlight.bytes).toBeGreaterThan(800);
    enter('newcomer', 'n:1', 90);
  });

  it('is bounded for a leader over all clients, and what goes to other leaders goes on', () => {
    const { enter, shed } = setUp();
    for (const client of ['a', 'b']) expect(enter(client, `${client}:1`, 145).toLeader(1, 1)).toBeUndefined();
    const third = enter('c', 'c:1', 100);
    expect(third.toLeader(1, 0.61)).toMatchObject({
      reason: 'QUEUE_FULL',
      metadata: { queue: 'leader', limit: '350', broker_id: '1' },
    });
    expect(third.toLeader(2, 0.61)).toBeUndefined();
    expect(shed).toEqual(['leader']);
  });

  it('leaves room in a client and a connection for the partitions of other leaders, when one leader is slow', () => {
    const { enter } = setUp();
    const slow: HeldRequest[] = [];
    const toSlow = (connection: string): PartitaError | undefined => {
      const request = enter('a', connection, 10);
      const refusal = request.toLeader(1, 1);
      if (refusal === undefined) slow.push(request);
      else request.release();
      return refusal;
    };
    for (let index = 0; index < 15; index += 1) expect(toSlow('a:1')).toBeUndefined();
    expect(toSlow('a:1')).toMatchObject({ metadata: { queue: 'leader', limit: '140' } });
    // Half of the connection is left, and after other connections half of the client.
    const other = enter('a', 'a:1', 100);
    expect(other.toLeader(2, 1)).toBeUndefined();
    other.release();
    for (let index = 0; index < 5; index += 1) expect(toSlow('a:2')).toBeUndefined();
    expect(toSlow('a:2')).toMatchObject({ metadata: { queue: 'leader' } });
    for (const request of slow) request.release();
    expect(toSlow('a:1')).toBeUndefined();
  });

  it('is given back as a whole, and forgets clients and connections that have nothing under way', () => {
    const { inFlight, enter } = setUp();
    const requests = ['a', 'b'].map((client) => enter(client, `${client}:1`, 100));
    for (const request of requests) for (const leader of [1, 2]) request.toLeader(leader, 0.5);
    expect(inFlight.holderCount).toBe(4);
    for (const request of requests) request.release();
    expect(inFlight.bytes).toBe(0);
    expect(inFlight.holderCount).toBe(0);
    const again = enter('a', 'a:1', 300);
    expect(again.toLeader(1, 1)).toBeUndefined();
    expect(() => {
      again.release();
      again.release();
    }).toThrow('once');
  });
});
