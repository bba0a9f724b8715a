/**
 * A process that offers a topic more than it may: `node noisy-producer.ts <gateway> <topic> <bytes a second>`. It sends plain
 * Produce calls at that rate whatever is answered, as a client that has never heard of quotas, until its stdin ends. It prints
 * `offering` when the first call is answered, and at the end what came of all: `{"stored": …, "refused": …, "failed": …}`.
 */
import { asPartitaError } from '@partita/domain';
import { ProduceRequest, ProducerServiceService } from '@partita/protocol';
import { callUnary, ChannelPool } from '@partita/rpc/client';

const RECORD_BYTES = 10 * 1024;
const RECORDS_PER_CALL = 10;
const TICK_MS = 10;
const IN_FLIGHT_MAX = 200;

const [address = '', topic = '', rate = '0'] = process.argv.slice(2);
const pool = new ChannelPool({ clientId: 'noisy' });
const client = pool.client(address);
const records = Array.from({ length: RECORDS_PER_CALL }, () => ({ value: Buffer.alloc(RECORD_BYTES, 'n') }));
const request = ProduceRequest.fromPartial({ topic, records });
const counts = { stored: 0, refused: 0, failed: 0 };
const beganMs = performance.now();
let offeredBytes = 0;
let inFlight = 0;
/** The first call is answered: that is told. */
let isAnswered = false;

const timer = setInterval(() => {
  const dueBytes = (Number(rate) * (performance.now() - beganMs)) / 1000;
  for (; offeredBytes < dueBytes; offeredBytes += RECORD_BYTES * RECORDS_PER_CALL) {
    if (inFlight < IN_FLIGHT_MAX) offer();
  }
}, TICK_MS);

function offer(): void {
  inFlight += 1;
  callUnary(client, ProducerServiceService.produce, request, { deadlineMs: 10_000, append: true })
    .then(() => (counts.stored += 1))
    .catch((error: unknown) => (counts[asPartitaError(error).reason === 'QUOTA_EXCEEDED' ? 'refused' : 'failed'] += 1))
    .finally(() => {
      inFlight -= 1;
      if (!isAnswered) process.stdout.write('offering\n');
      isAnswered = true;
    });
}

process.stdin.resume().once('end', () => {
  clearInterval(timer);
  const last = setInterval(() => {
    if (inFlight > 0) return;
    clearInterval(last);
    pool.close();
    process.stdout.write(`${JSON.stringify(counts)}\n`);
  }, TICK_MS);
});
