/**
 * A client that sends as much as it can, a process of its own: `node flood.ts SERVERS TOPIC`. Prints `begun` with its first
 * acknowledgement, ends at the end of stdin, and prints then how many bytes were acknowledged and how often it was refused.
 */
import { ClientError, connect, pause } from '@partita/client';

const VALUE_BYTES = 16 * 1024;
const SENDER_COUNT = 256;
const REFUSED_PAUSE_MS = 20;

const [servers = '', topic = ''] = process.argv.slice(2);
const value = Buffer.alloc(VALUE_BYTES, 'x');
const told = { bytes: 0, refusedCount: 0 };
let isOver = false;
process.stdin.on('end', () => (isOver = true)).resume();
// A terminal sends Ctrl-C to everybody; the tour decides when its processes end.
process.on('SIGINT', () => undefined);

const client = await connect({ servers: servers.split(','), clientId: 'partita-tour-flood' });
const producer = client.producer();
await Promise.all(Array.from({ length: SENDER_COUNT }, send));
await client.close();
process.stdout.write(`${JSON.stringify(told)}\n`);

async function send(): Promise<void> {
  while (!isOver) {
    try {
      await producer.send(topic, { value });
      if (told.bytes === 0) process.stdout.write('begun\n');
      told.bytes += VALUE_BYTES;
    } catch (error) {
      if (!(error instanceof ClientError)) throw error;
      told.refusedCount += 1;
      await pause(REFUSED_PAUSE_MS);
    }
  }
}
