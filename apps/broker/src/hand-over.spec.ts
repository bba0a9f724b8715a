import { LEADER_DRAIN_MS_MAX } from '@partita/domain';
import { BrokerState } from '@partita/protocol';
import type { Broker } from '@partita/protocol';
import { expect, it } from 'vitest';
import { handOver } from './hand-over.ts';
import type { LedPartition } from './hand-over.ts';

const { BROKER_STATE_UP, BROKER_STATE_DRAINING } = BrokerState;

/** A broker, id 1, that leads partitions whose in-sync followers are given; time passes only while it waits. */
class StoppingBroker {
  nowMs = 0;
  hasCoordinator = true;
  leads: number[][];
  readonly states = new Map<number, BrokerState>([2, 3].map((id) => [id, BROKER_STATE_UP]));
  readonly lines: unknown[] = [];
  /** What happens at a time, in order. */
  readonly events: [number, () => void][] = [];

  constructor(...leads: number[][]) {
    this.leads = leads;
  }

  async stop(): Promise<number> {
    const broker = (brokerId: number, state: BrokerState) => ({ brokerId, state }) as Broker;
    await handOver({
      registry: { actors: () => this.leads.map(ledBy) },
      directory: {
        snapshot: () => ({
          clusterId: '',
          endpoints: [],
          routes: [],
          brokers: [broker(1, BROKER_STATE_DRAINING), ...[...this.states].map(([id, state]) => broker(id, state))],
        }),
      },
      hasCoordinator: () => this.hasCoordinator,
      clock: { monotonicMs: () => this.nowMs, wallMs: () => 0 },
      timers: { after: (ms, run) => this.#after(ms, run) },
      lines: { write: (line, fields) => this.lines.push([line, fields]) },
    });
    return this.nowMs;
  }

  #after(ms: number, run: () => void): { cancel(): void } {
    this.nowMs += ms;
    for (const [atMs, happen] of this.events.splice(0))
      if (atMs <= this.nowMs) happen();
      else this.events.push([atMs, happen]);
    setImmediate(run);
    return { cancel: () => undefined };
  }
}

function ledBy(inSync: readonly number[]): LedPartition {
  const followers = new Map(inSync.map((id) => [id, { inSync: true }]));
  const role = { kind: 'leader', followers };
  return { leader: role, state: { role, self: { brokerId: 1 } } } as unknown as LedPartition;
}

it('does not wait for what nobody else can lead', async () => {
  const broker = new StoppingBroker([], []);
  expect(await broker.stop()).toBe(0);
  expect(broker.lines).toEqual([]);
});

it('waits until others lead, and tells so', async () => {
  const broker = new StoppingBroker([2, 3], [3], []);
  broker.events.push([320, () => (broker.leads = [[]])]);
  expect(await broker.stop()).toBe(350);
  expect(broker.lines).toEqual([
    ['broker gives up its leaders', { leaders: 3 }],
    ['broker leads nothing', { left: 1, why: '', duration_ms: 350 }],
  ]);
});

it('waits for no broker that is about to stop, too', async () => {
  const broker = new StoppingBroker([2, 3]);
  broker.events.push([70, () => broker.states.set(2, BROKER_STATE_DRAINING).set(3, BROKER_STATE_DRAINING)]);
  expect(await broker.stop()).toBe(100);
});

it('does not wait for ever, and not at all without a coordinator', async () => {
  const late = new StoppingBroker([2]);
  expect(await late.stop()).toBe(LEADER_DRAIN_MS_MAX);
  expect(late.lines.at(-1)).toMatchObject(['broker leads nothing', { left: 1, why: 'others do not lead after 15 s' }]);
  const alone = new StoppingBroker([2]);
  alone.events.push([70, () => (alone.hasCoordinator = false)]);
  expect(await alone.stop()).toBe(100);
  expect(alone.lines.at(-1)).toMatchObject(['broker leads nothing', { left: 1, why: 'no coordinator answers' }]);
});
