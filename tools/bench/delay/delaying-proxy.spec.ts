import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { DelayedPipe } from './delayed-pipe.ts';
import { DelayingProxy } from './delaying-proxy.ts';

const DELAY_MS = 40;
const open: { close(): void }[] = [];

afterEach(() => {
  for (const one of open.splice(0)) one.close();
});

async function serve(onConnection: (socket: Socket) => void): Promise<number> {
  const server: Server = createServer({ allowHalfOpen: true }, onConnection);
  open.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

async function through(port: number, delayMs = DELAY_MS): Promise<{ proxy: DelayingProxy; socket: Socket }> {
  const proxy = await DelayingProxy.start(() => port);
  open.push(proxy);
  proxy.delayMs = delayMs;
  const socket = connect({ port: Number(proxy.address.split(':')[1]), host: '127.0.0.1', allowHalfOpen: true });
  socket.on('error', () => undefined);
  open.push({ close: () => socket.destroy() });
  await once(socket, 'connect');
  return { proxy, socket };
}

/** However it ends. */
function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

describe('the delaying proxy', () => {
  it('holds bytes up by its delay in each direction', async () => {
    const { socket } = await through(await serve((peer) => peer.pipe(peer)));
    const startMs = performance.now();
    socket.write('there and back');
    await once(socket, 'data');
    const tookMs = performance.now() - startMs;
    expect(tookMs).toBeGreaterThanOrEqual(2 * DELAY_MS - 2);
    expect(tookMs).toBeLessThan(10 * DELAY_MS);
  });

  it('has much on its way at once, in order, also when the delay goes', async () => {
    const { proxy, socket } = await through(await serve((peer) => peer.pipe(peer)));
    const sent = Buffer.alloc(8 * 1024 * 1024);
    for (let at = 0; at < sent.length; at += 4) sent.writeUInt32LE(at, at);
    const received: Buffer[] = [];
    socket.on('data', (bytes) => received.push(bytes));
    const startMs = performance.now();
    socket.write(sent.subarray(0, sent.length / 2));
    proxy.delayMs = 0;
    socket.end(sent.subarray(sent.length / 2));
    await once(socket, 'end');
    expect(Buffer.concat(received).equals(sent)).toBe(true);
    // Chunks of 64 KiB that waited for each other would need a hundred delays.
    expect(performance.now() - startMs).toBeLessThan(50 * DELAY_MS);
  });

  it('keeps a direction open when the other has ended', async () => {
    const { socket } = await through(
      await serve((peer) => {
        let heard = '';
        peer.on('data', (bytes) => (heard += bytes.toString()));
        peer.on('end', () => peer.end(`heard ${heard}`));
      }),
    );
    socket.end('all');
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString()).toBe('heard all');
  });

  it('ends what comes through it when the other side is gone, or was never there', async () => {
    const { socket } = await through(await serve((peer) => peer.resetAndDestroy()));
    socket.resume();
    await closed(socket);
    const proxy = await DelayingProxy.start(() => {
      throw new Error('nobody is there yet');
    });
    open.push(proxy);
    const refused = connect(Number(proxy.address.split(':')[1]), '127.0.0.1');
    refused.on('error', () => undefined);
    await closed(refused);
  });

  it('does not read a sender on when more is on its way than the line holds', async () => {
    const bytesMax = 256 * 1024;
    let pipe: DelayedPipe | undefined;
    let peer: Socket | undefined;
    const port = await serve((from) => {
      const to = connect(quiet, '127.0.0.1');
      to.on('error', () => undefined);
      peer = from;
      open.push({ close: () => to.destroy() }, { close: () => from.destroy() });
      pipe = new DelayedPipe(from, to, { delayMs: () => 200, bytesMax });
    });
    let received = 0;
    const quiet = await serve((socket) => socket.on('data', (bytes) => (received += bytes.length)));
    const socket = connect(port, '127.0.0.1');
    open.push({ close: () => socket.destroy() });
    const sent = Buffer.alloc(2 * 1024 * 1024);
    socket.write(sent);
    await expect.poll(() => peer?.isPaused()).toBe(true);
    expect(pipe?.bytes).toBeLessThan(2 * bytesMax);
    await expect.poll(() => received, { timeout: 10_000 }).toBe(sent.length);
  });
});
