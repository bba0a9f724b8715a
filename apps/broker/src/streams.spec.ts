import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BrokerServiceService } from '@partita/protocol';
import type {
  AppendFrameResult,
  AppendStreamRequest,
  AppendStreamResponse,
  FetchStreamRequest,
  FetchStreamResponse,
} from '@partita/protocol';
import { openBidi } from '@partita/rpc/client';
import type { BidiStream } from '@partita/rpc/client';
import { batchOf, entryFor, reasonOf, TestBroker, wanted } from './testing/broker.fixture.ts';

/** Resolves when `look` gives something, asked again after each message. */
class Inbox<Message> {
  readonly messages: Message[] = [];
  #waiting: (() => void)[] = [];

  push(message: Message): void {
    this.messages.push(message);
    for (const look of this.#waiting) look();
  }

  async until(look: (messages: Message[]) => boolean, limitMs = 5000): Promise<void> {
    if (look(this.messages)) return;
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`not within ${limitMs} ms: ${this.messages.length} messages`)),
        limitMs,
      );
      this.#waiting.push(() => {
        if (!look(this.messages)) return;
        clearTimeout(timer);
        resolve();
      });
    });
  }
}

let broker: TestBroker;

beforeEach(async () => {
  broker = await TestBroker.start();
});

afterEach(async () => {
  await broker.stop();
  await broker.remove();
});

describe('an append stream', () => {
  function open(): { stream: BidiStream<AppendStreamRequest>; inbox: Inbox<AppendStreamResponse['message']> } {
    const inbox = new Inbox<AppendStreamResponse['message']>();
    const stream = openBidi(broker.client, BrokerServiceService.appendStream, {
      onMessage: ({ message }) => inbox.push(message),
    });
    return { stream, inbox };
  }

  function results(messages: AppendStreamResponse['message'][]): AppendFrameResult[] {
    return messages.flatMap((message) => (message?.$case === 'result' ? [message.result] : []));
  }

  it('answers every frame once, in order per partition', async () => {
    await broker.elect(await broker.createTopic('flights', { partitions: 4 }), 1);
    const { stream, inbox } = open();
    stream.send({ message: { $case: 'initial', initial: {} } });
    for (let n = 0; n < 400; n++) {
      const entries = [entryFor('flights', batchOf(`${n}`), { partition: n % 4 })];
      stream.send({ message: { $case: 'append', append: { frameId: BigInt(n), entries, timeoutMs: 0 } } });
    }
    await inbox.until((messages) => results(messages).length === 400);
    expect(inbox.messages[0]?.$case).toBe('ready');
    for (let partition = 0; partition < 4; partition++) {
      const own = results(inbox.messages).filter(({ frameId }) => Number(frameId) % 4 === partition);
      expect(own.map(({ frameId }) => Number(frameId))).toEqual(own.map((_, index) => index * 4 + partition));
      const offsets = own.map(({ results: [result] }) =>
        result?.outcome?.$case === 'ack' ? result.outcome.ack.baseOffset : -1n,
      );
      expect(offsets).toEqual(own.map((_, index) => BigInt(index + 1)));
    }
    stream.end();
    expect(await stream.closed).toBeUndefined();
  });

  it('answers a refused entry in-band and goes on', async () => {
    await broker.elect(await broker.createTopic('flights'), 1);
    const { stream, inbox } = open();
    stream.send({ message: { $case: 'initial', initial: {} } });
    const frame = (frameId: bigint, topic: string) => ({
      frameId,
      entries: [entryFor(topic, batchOf('a'))],
      timeoutMs: 0,
    });
    stream.send({ message: { $case: 'append', append: frame(1n, 'nowhere') } });
    stream.send({ message: { $case: 'append', append: frame(2n, 'flights') } });
    await inbox.until((messages) => results(messages).length === 2);
    const reasons = new Map(
      results(inbox.messages).map(({ frameId, results: [result] }) => [frameId, reasonOf(result)]),
    );
    expect(reasons).toEqual(new Map([[1n, 'TOPIC_NOT_FOUND'], [2n, 'ack']])); // prettier-ignore
    stream.cancel();
  });

  it('ends a stream that does not begin with initial', async () => {
    const { stream } = open();
    stream.send({ message: { $case: 'heartbeat', heartbeat: {} } });
    expect(await stream.closed).toMatchObject({ reason: 'STREAM_ORDER' });
  });

  it('tells that the broker drains and ends the stream', async () => {
    await broker.elect(await broker.createTopic('flights'), 1);
    const { stream, inbox } = open();
    stream.send({ message: { $case: 'initial', initial: {} } });
    await inbox.until((messages) => messages.length > 0);
    await broker.service.drain();
    await inbox.until((messages) => messages.some((message) => message?.$case === 'draining'));
    expect(await stream.closed).toBeUndefined();
  });
});

describe('a fetch stream', () => {
  function open(credit: number): {
    stream: BidiStream<FetchStreamRequest>;
    inbox: Inbox<FetchStreamResponse['message']>;
  } {
    const inbox = new Inbox<FetchStreamResponse['message']>();
    const stream = openBidi(broker.client, BrokerServiceService.fetchStream, {
      onMessage: ({ message }) => inbox.push(message),
    });
    stream.send({ message: { $case: 'initial', initial: { credit: { bytes: BigInt(credit) } } } });
    return { stream, inbox };
  }

  function start(stream: BidiStream<FetchStreamRequest>, offset = 0n, startId = 1n, topic = 'flights'): void {
    const partitions = [wanted({ topic, offset })];
    stream.send({ message: { $case: 'start', start: { startId, partitions } } });
  }

  function dataBytes(messages: FetchStreamResponse['message'][]): number {
    return messages.reduce(
      (sum, message) => sum + (message?.$case === 'data' ? (message.data.partition?.recordBatches.length ?? 0) : 0),
      0,
    );
  }

  function nextOffset(messages: FetchStreamResponse['message'][]): bigint {
    return messages.reduce(
      (last, message) => (message?.$case === 'data' ? (message.data.partition?.nextOffset ?? last) : last),
      0n,
    );
  }

  it('pushes what is there and what comes, and tells when the reader has caught up', async () => {
    await broker.elect(await broker.createTopic('flights'), 1);
    await broker.appendOk(entryFor('flights', batchOf('a')));
    const { stream, inbox } = open(1_000_000);
    start(stream);
    await inbox.until((messages) => messages.some((message) => message?.$case === 'caughtUp'));
    expect(nextOffset(inbox.messages)).toBe(2n);
    await broker.appendOk(entryFor('flights', batchOf('b')));
    await inbox.until((messages) => nextOffset(messages) === 3n);
    await inbox.until((messages) => messages.some((message) => message?.$case === 'heartbeat'));
    const heartbeat = inbox.messages.find((message) => message?.$case === 'heartbeat');
    expect(heartbeat?.heartbeat.watermarks[0]).toMatchObject({ partition: 0, highWatermark: 3n });
    stream.cancel();
  });

  it('sends no more than the credit allows, one batch at least, and tells that the reader fell behind', async () => {
    await broker.elect(await broker.createTopic('flights'), 1);
    const { stream, inbox } = open(0);
    start(stream, 1n);
    await inbox.until((messages) => messages.some((message) => message?.$case === 'caughtUp'));
    for (let n = 0; n < 5; n++) await broker.appendOk(entryFor('flights', batchOf('x'.repeat(1000))));
    await inbox.until((messages) => messages.some((message) => message?.$case === 'fellBehind'));
    expect(dataBytes(inbox.messages)).toBe(0);
    stream.send({ message: { $case: 'credit', credit: { bytes: 1n } } });
    await inbox.until((messages) => nextOffset(messages) === 2n);
    const oneBatch = dataBytes(inbox.messages);
    stream.send({ message: { $case: 'credit', credit: { bytes: BigInt(oneBatch - 1) } } });
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(nextOffset(inbox.messages)).toBe(2n);
    stream.send({ message: { $case: 'credit', credit: { bytes: 100_000n } } });
    await inbox.until((messages) => nextOffset(messages) === 6n);
    stream.cancel();
  });

  it('answers the error of a partition in-band and goes on with the others', async () => {
    await broker.elect(await broker.createTopic('flights'), 1);
    const { stream, inbox } = open(1_000_000);
    start(stream, 0n, 7n, 'nowhere');
    start(stream, 0n, 8n);
    await inbox.until((messages) => messages.filter((message) => message?.$case === 'data').length === 2);
    const byStart = new Map(
      inbox.messages.flatMap((message) =>
        message?.$case === 'data' ? [[message.data.startId, message.data.partition]] : [],
      ),
    );
    expect(byStart.get(7n)?.error).toBeDefined();
    expect(byStart.get(8n)?.error).toBeUndefined();
    stream.cancel();
  });

  it('refuses negative credit', async () => {
    const { stream } = open(-1);
    expect(await stream.closed).toMatchObject({ reason: 'INVALID_REQUEST' });
  });

  it('tells its readers that the leader is gone', async () => {
    const topic = await broker.createTopic('flights');
    await broker.elect(topic, 1);
    const { stream, inbox } = open(1_000_000);
    start(stream);
    await inbox.until((messages) => nextOffset(messages) === 1n);
    await broker.promise(topic, 2);
    await inbox.until((messages) =>
      messages.some((message) => message?.$case === 'data' && message.data.partition?.error !== undefined),
    );
    stream.cancel();
  });
});
