/** Loads on the raw peers: the same frames, counts and windows as those on Partita, and nothing else. */
import { Client } from '@grpc/grpc-js';
import { CHANNEL_OPTIONS, PLAINTEXT, RAW_SERVICE } from '../peers/raw-service.ts';
import type { Job, Sample } from '../sample.ts';
import { BATCH_BYTES, FRAMES_IN_FLIGHT, RECORD_BYTES } from '../workload.ts';
import { runCallers } from './callers.ts';
import type { LoadRunner } from './load-runner.ts';
import { ReceiveMeter } from './receive-meter.ts';
import { SendWindow } from './send-window.ts';

const { push, pull, call } = RAW_SERVICE;
const RECORDS_PER_FRAME = BATCH_BYTES / RECORD_BYTES;

/** Addresses of the peers: the relay, where there is one, and the sinks. */
export interface RawPeers {
  readonly relay?: string;
  readonly sinks: readonly string[];
}

export class RawLoads implements LoadRunner {
  readonly #relay: Client | undefined;
  readonly #sinks: readonly Client[];

  constructor(peers: RawPeers) {
    const client = (address: string): Client => new Client(address, PLAINTEXT, CHANNEL_OPTIONS);
    this.#relay = peers.relay === undefined ? undefined : client(peers.relay);
    this.#sinks = peers.sinks.map(client);
  }

  async run({ load, seconds }: Job): Promise<Sample> {
    if (load === 'push-direct') return pushTo(this.#sinks, seconds);
    if (load === 'pull-direct') return pullFrom(this.#sinks, seconds);
    const relay = this.#relay;
    if (relay === undefined) throw new Error(`no raw load without a relay is called "${load}"`);
    if (load === 'push') return pushTo([relay], seconds);
    if (load === 'pull') return pullFrom([relay], seconds);
    if (load === 'call') return callAt(relay, seconds);
    throw new Error(`no raw load is called "${load}"`);
  }
}

/** Frames to all of them in turn, over one stream each. */
async function pushTo(clients: readonly Client[], seconds: number): Promise<Sample> {
  const frame = Buffer.alloc(BATCH_BYTES, 1);
  const streams = clients.map((client) =>
    client.makeBidiStreamRequest(push.path, push.requestSerialize, push.responseDeserialize),
  );
  let sent = 0;
  const send = (): void => {
    streams[sent % streams.length]?.write(frame);
    sent += 1;
  };
  const window = new SendWindow({ seconds, inFlightMax: FRAMES_IN_FLIGHT, send });
  for (const stream of streams) {
    stream.on('data', () => window.answered());
    stream.on('error', (error: Error) => window.fail(error));
  }
  window.start();
  const { frameCount, durationMs } = await window.result;
  for (const stream of streams) stream.end();
  return { recordCount: frameCount * RECORDS_PER_FRAME, bytes: frameCount * BATCH_BYTES, durationMs };
}

/** Frames from all of them at once, over one stream each. */
async function pullFrom(clients: readonly Client[], seconds: number): Promise<Sample> {
  const meter = new ReceiveMeter(seconds);
  const streams = clients.map((client) =>
    client.makeServerStreamRequest(pull.path, pull.requestSerialize, pull.responseDeserialize, Buffer.alloc(0)),
  );
  for (const stream of streams) {
    stream.on('data', (frame: Buffer) => {
      if (!meter.over) meter.received(RECORDS_PER_FRAME, frame.byteLength);
    });
    stream.on('error', (error: Error) => {
      if (!meter.over) meter.fail(error);
    });
  }
  const sample = await meter.result;
  for (const stream of streams) stream.cancel();
  return sample;
}

function callAt(relay: Client, seconds: number): Promise<Sample> {
  const record = Buffer.alloc(RECORD_BYTES, 1);
  return runCallers(
    seconds,
    () =>
      new Promise<void>((resolve, reject) => {
        relay.makeUnaryRequest(call.path, call.requestSerialize, call.responseDeserialize, record, (error) => {
          if (error === null) resolve();
          else reject(error);
        });
      }),
  );
}
