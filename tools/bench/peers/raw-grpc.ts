/**
 * One raw peer, a process of its own: a sink (in the place of a broker), or a relay to sinks (in the place of a gateway or
 * consumer-group service) when addresses are given as arguments. Tells its own address by a message to its parent, and
 * ends with it.
 */
import { Client, Server, ServerCredentials } from '@grpc/grpc-js';
import type {
  ClientReadableStream,
  sendUnaryData,
  ServerDuplexStream,
  ServerUnaryCall,
  ServerWritableStream,
} from '@grpc/grpc-js';
import { BATCH_BYTES } from '../workload.ts';
import { ACK, CHANNEL_OPTIONS, PLAINTEXT, RAW_SERVICE, SERVER_OPTIONS } from './raw-service.ts';
import { raiseWindows } from './windows.ts';

type Push = ServerDuplexStream<Buffer, Buffer>;
type Pull = ServerWritableStream<Buffer, Buffer>;
type Call = ServerUnaryCall<Buffer, Buffer>;

const { push, pull, call } = RAW_SERVICE;

const sink = {
  push(stream: Push): void {
    stream.on('data', () => stream.write(ACK));
    stream.on('end', () => stream.end());
  },

  pull(stream: Pull): void {
    const frame = Buffer.alloc(BATCH_BYTES, 1);
    const fill = (): void => {
      while (!stream.cancelled && stream.write(frame));
    };
    stream.on('drain', fill);
    fill();
  },

  call(_call: Call, done: sendUnaryData<Buffer>): void {
    done(null, ACK);
  },
};

function relay(targets: readonly Client[]): typeof sink {
  let turn = 0;
  const next = (): Client => {
    turn = (turn + 1) % targets.length;
    const client = targets[turn];
    if (client === undefined) throw new Error('a relay needs at least one sink');
    return client;
  };
  return {
    push(stream: Push): void {
      const upstreams = targets.map((client) =>
        client.makeBidiStreamRequest(push.path, push.requestSerialize, push.responseDeserialize),
      );
      let left = upstreams.length;
      let frames = 0;
      for (const upstream of upstreams) {
        upstream.on('data', (ack: Buffer) => stream.write(ack));
        upstream.on('error', (error: Error) => stream.destroy(error));
        upstream.on('drain', () => stream.resume());
        upstream.on('end', () => {
          left -= 1;
          if (left === 0) stream.end();
        });
      }
      stream.on('data', (frame: Buffer) => {
        frames += 1;
        if (upstreams[frames % upstreams.length]?.write(frame) === false) stream.pause();
      });
      stream.on('end', () => {
        for (const upstream of upstreams) upstream.end();
      });
    },

    pull(stream: Pull): void {
      const upstreams: ClientReadableStream<Buffer>[] = targets.map((client) =>
        client.makeServerStreamRequest(pull.path, pull.requestSerialize, pull.responseDeserialize, stream.request),
      );
      for (const upstream of upstreams) {
        upstream.on('error', () => undefined);
        upstream.on('data', (frame: Buffer) => {
          if (!stream.write(frame)) for (const each of upstreams) each.pause();
        });
      }
      stream.on('drain', () => {
        for (const upstream of upstreams) upstream.resume();
      });
      stream.on('cancelled', () => {
        for (const upstream of upstreams) upstream.cancel();
      });
    },

    call({ request }: Call, done: sendUnaryData<Buffer>): void {
      next().makeUnaryRequest(call.path, call.requestSerialize, call.responseDeserialize, request, done);
    },
  };
}

raiseWindows();
const targets = process.argv.slice(2).map((address) => new Client(address, PLAINTEXT, CHANNEL_OPTIONS));
const server = new Server(SERVER_OPTIONS);
server.addService({ push, pull, call }, targets.length === 0 ? sink : relay(targets));
server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error;
  process.send?.({ address: `127.0.0.1:${port}` });
});
process.on('disconnect', () => process.exit(0));
