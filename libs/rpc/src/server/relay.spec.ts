import { Client, Metadata, credentials } from '@grpc/grpc-js';
import { PartitaError } from '@partita/domain';
import { GetTopicRequest, TopicServiceService } from '@partita/protocol';
import { afterEach, expect, test } from 'vitest';
import { callUnary } from '../client/call.ts';
import { closeAll, pool, serve } from '../loopback.fixture.ts';
import { unary } from './methods.ts';

afterEach(closeAll);

const getTopic = TopicServiceService.getTopic;

test('a relayed call arrives unchanged, unknown fields and caller included, and so does its answer', async () => {
  const original = Buffer.concat([
    getTopic.requestSerialize(GetTopicRequest.fromPartial({ topic: 'a' })),
    Buffer.from([0xf8, 0x3f, 7]),
  ]);
  const answer = Buffer.from([0xf8, 0x3f, 9]);
  let arrived: Buffer | undefined;
  let names: unknown[] = [];
  const bytes = { ...getTopic, requestDeserialize: (b: Buffer) => b, responseSerialize: (b: Buffer) => b };
  const active = await serve(
    { getTopic: bytes },
    {
      getTopic: unary((request: unknown, context) => {
        arrived = request as Buffer;
        names = [context.clientId, context.requestId];
        return answer;
      }) as never,
    },
  );
  const peers = pool();
  const standby = await serve(TopicServiceService, {
    getTopic: unary(() => ({ topic: undefined }), { relay: { pool: peers, target: () => active.address } }),
  });
  const client = new Client(standby.address, credentials.createInsecure());
  const metadata = new Metadata();
  metadata.set('partita-client-id', 'admin');
  metadata.set('partita-request-id', 'r-1');
  const pass = (value: Buffer): Buffer => value;
  const response = await new Promise((resolve, reject) => {
    client.makeUnaryRequest(getTopic.path, pass, pass, original, metadata, (error, value) => {
      if (error === null) resolve(value);
      else reject(error);
    });
  });
  client.close();
  expect(response).toEqual(answer);
  expect(arrived).toEqual(original);
  expect(names).toEqual(['admin', 'r-1']);
});

test('errors come back as they are, and two standbys make no loop', async () => {
  const peers = pool();
  const addresses: string[] = [];
  const refuse = (): never => {
    throw new PartitaError('NOT_ACTIVE_COORDINATOR', 'ask the other', { address: '' });
  };
  const standby = (other: number) =>
    serve(TopicServiceService, { getTopic: unary(refuse, { relay: { pool: peers, target: () => addresses[other] } }) });
  addresses.push((await standby(1)).address, (await standby(0)).address);
  await expect(callUnary(peers.client(addresses[0]!), getTopic, GetTopicRequest.fromPartial({}))).rejects.toMatchObject(
    {
      reason: 'NOT_ACTIVE_COORDINATOR',
      message: 'ask the other',
    },
  );
});
