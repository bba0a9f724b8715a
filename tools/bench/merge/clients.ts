/**
 * A process of many simple clients: each has a name and a connection of its own, and produces one small record after the other,
 * the next when the last is acknowledged. Orders come as messages, one at a time: `open`, `run`, `close`.
 */
import { randomBytes } from 'node:crypto';
import { pause } from '@partita/client';
import { asPartitaError, DEADLINE_MS_MAX } from '@partita/domain';
import { ProduceRequest, ProducerServiceService } from '@partita/protocol';
import { callUnary, ChannelPool } from '@partita/rpc/client';
import type { ClientAnswer, ClientOrder } from './client-process.ts';

const VALUE_BYTES = 92;
const KEY_BYTES = 8;
/** Connections that one process opens at the same time: a listener's backlog is short. */
const OPENING_COUNT_MAX = 32;
const REFUSED_PAUSE_MS = 100;

interface SimpleClient {
  readonly pool: ChannelPool;
  readonly produce: () => Promise<unknown>;
}

let errors: Record<string, number> = {};
let clients: SimpleClient[] = [];

process.on('message', (order: ClientOrder) => {
  obey(order).then(
    (answer) => process.send?.(answer),
    (error: unknown) => process.send?.({ error: asPartitaError(error).message } satisfies ClientAnswer),
  );
});
process.on('disconnect', () => process.exit(0));
process.send?.({ ready: true });

async function obey(order: ClientOrder): Promise<ClientAnswer> {
  if (order.kind === 'open') {
    clients = Array.from({ length: order.count }, (_, index) => newClient(order, order.first + index));
    const waiting = [...clients];
    const open = async (): Promise<void> => {
      for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) await next.produce();
    };
    await Promise.all(Array.from({ length: OPENING_COUNT_MAX }, open));
    return { counts: [], errors: {} };
  }
  if (order.kind === 'close') {
    for (const { pool } of clients.splice(0)) pool.close();
    return { counts: [], errors: {} };
  }
  errors = {};
  const fromMs = performance.now() + order.warmUpMs;
  const untilMs = fromMs + order.seconds * 1000;
  const counts = await Promise.all(clients.map((client) => closedLoop(client, fromMs, untilMs)));
  return { counts, errors };
}

/** Records that were acknowledged in the time that counts. */
async function closedLoop({ produce }: SimpleClient, fromMs: number, untilMs: number): Promise<number> {
  let count = 0;
  for (;;) {
    try {
      await produce();
      const nowMs = performance.now();
      if (nowMs >= untilMs) return count;
      if (nowMs >= fromMs) count += 1;
    } catch (thrown) {
      const { reason } = asPartitaError(thrown);
      errors[reason] = (errors[reason] ?? 0) + 1;
      if (performance.now() >= untilMs) return count;
      await pause(REFUSED_PAUSE_MS);
    }
  }
}

function newClient({ address, topic }: Extract<ClientOrder, { kind: 'open' }>, number: number): SimpleClient {
  const pool = new ChannelPool({ clientId: `simple-${number}` });
  const value = randomBytes(VALUE_BYTES);
  const key = Buffer.alloc(KEY_BYTES);
  let sequence = 0;
  return {
    pool,
    produce: () => {
      key.writeUInt32LE(number, 0);
      // Its records go to all partitions in turn, as those of a client with many keys do.
      key.writeUInt32LE(sequence++, 4);
      const request = ProduceRequest.fromPartial({ topic, records: [{ key, value }] });
      const options = { deadlineMs: DEADLINE_MS_MAX, append: true };
      return callUnary(pool.client(address), ProducerServiceService.produce, request, options);
    },
  };
}
