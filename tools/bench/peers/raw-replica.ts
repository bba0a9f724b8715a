/**
 * One raw replica, a process of its own, in the place of a broker: it leads what clients push to it, hands each frame on to
 * all that follow it, and answers when the first of them has it; and it follows the others, by streams that it opens.
 * Given a folder it also stores: a frame is answered when it is on the disk, its own and that follower's. Tells its address by a message to its parent, is told those of the others, and says when it follows
 * them; ends with its parent.
 */
import { Client, Server, ServerCredentials } from '@grpc/grpc-js';
import type { ServerDuplexStream } from '@grpc/grpc-js';
import { RawLog } from './raw-log.ts';
import { ACK, CHANNEL_OPTIONS, PLAINTEXT, RAW_SERVICE, SERVER_OPTIONS } from './raw-service.ts';
import { raiseWindows } from './windows.ts';

type Push = ServerDuplexStream<Buffer, Buffer>;

interface Follower {
  readonly stream: Push;
  ackedCount: number;
}

const { follow, push } = RAW_SERVICE;
/** Undefined = nothing is stored. */
const folder = process.argv[2];
const followers: Follower[] = [];
const clients = new Set<Push>();
/** Streams of the frames that are not answered yet, in the order of the frames. */
const unanswered: Push[] = [];
let answeredCount = 0;
let storedCount = 0;

function logOf(name: string, onStored: (frameCount: number) => void): RawLog | undefined {
  return folder === undefined ? undefined : new RawLog(folder, name, onStored);
}

const ownLog = logOf('leader', (frameCount) => {
  storedCount += frameCount;
  answer();
});

/** A frame is answered when the fastest follower has it, and so has the own disk, if there is one. */
function answer(): void {
  const followed = Math.max(0, ...followers.map(({ ackedCount }) => ackedCount));
  const count = ownLog === undefined ? followed : Math.min(followed, storedCount);
  for (; answeredCount < count; answeredCount += 1) unanswered.shift()?.write(ACK);
}

const leader = {
  push(stream: Push): void {
    clients.add(stream);
    stream.on('data', (frame: Buffer) => {
      unanswered.push(stream);
      ownLog?.append(frame);
      for (const follower of followers) if (!follower.stream.write(frame)) stream.pause();
    });
    stream.on('end', () => {
      clients.delete(stream);
      stream.end();
    });
  },

  follow(stream: Push): void {
    const follower = { stream, ackedCount: 0 };
    followers.push(follower);
    stream.on('drain', () => {
      for (const client of clients) client.resume();
    });
    stream.on('data', () => {
      follower.ackedCount += 1;
      answer();
    });
    // The first message opens the stream.
    stream.write(ACK);
  },
};

function followAt(address: string, index: number): Promise<void> {
  const client = new Client(address, PLAINTEXT, CHANNEL_OPTIONS);
  const stream = client.makeBidiStreamRequest(follow.path, follow.requestSerialize, follow.responseDeserialize);
  // The leader is gone: its own end is told to the parent.
  stream.on('error', () => undefined);
  return new Promise((resolve) => {
    const log = logOf(`follower-${index}`, (frameCount) => {
      for (let done = 0; done < frameCount; done += 1) stream.write(ACK);
    });
    stream.once('data', () => {
      if (log === undefined) stream.on('data', () => stream.write(ACK));
      else stream.on('data', (frame: Buffer) => log.append(frame));
      resolve();
    });
  });
}

raiseWindows();
const server = new Server(SERVER_OPTIONS);
server.addService({ push, follow }, leader);
server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error;
  process.send?.({ address: `127.0.0.1:${port}` });
});
process.on('message', (leaders: readonly string[]) => {
  void Promise.all(leaders.map(followAt)).then(() => process.send?.({ following: leaders.length }));
});
process.on('disconnect', () => process.exit(0));
