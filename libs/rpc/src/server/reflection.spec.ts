import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ClusterServiceService, GetClusterResponse, TopicServiceService } from '@partita/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { closeAll, serve } from '../loopback.fixture.ts';
import type { Serving } from '../loopback.fixture.ts';
import { builtInFiles } from './built-in-descriptors.ts';
import { decodeReflectionRequest } from './reflection-codec.ts';
import { descriptorIndex } from './descriptor-index.ts';
import { unary } from './methods.ts';

const run = promisify(execFile);
const buf = join(import.meta.dirname, '../../../../node_modules/.bin/buf');
let serving: Serving;

beforeEach(async () => {
  serving = await serve(ClusterServiceService, {
    getCluster: unary(() => GetClusterResponse.fromPartial({ clusterId: 'c-1', directoryAgeMs: 7n })),
  });
});
afterEach(closeAll);

async function curl(...args: readonly string[]): Promise<string> {
  const path = args.at(-1)?.startsWith('/') === true ? args.at(-1) : '';
  const options = path === '' ? args : args.slice(0, -1);
  const fixed = ['curl', '--protocol', 'grpc', '--http2-prior-knowledge'];
  return (await run(buf, [...fixed, ...options, `http://${serving.address}${path}`])).stdout;
}

test('buf curl lists the services that were added, health and reflection', async () => {
  expect((await curl('--list-services')).trim().split('\n').sort()).toEqual([
    'grpc.health.v1.Health',
    'grpc.reflection.v1.ServerReflection',
    'grpc.reflection.v1alpha.ServerReflection',
    'partita.v1.ClusterService',
  ]);
});

test('buf curl calls a method by its descriptor, with either version of reflection', async () => {
  for (const version of ['grpc-v1', 'grpc-v1alpha']) {
    const out = await curl('--reflect-protocol', version, '-d', '{}', '/partita.v1.ClusterService/GetCluster');
    expect(JSON.parse(out)).toEqual({ clusterId: 'c-1', directoryAgeMs: '7' });
  }
});

test('buf curl checks health, of the server and of a service', async () => {
  const check = async (body: string) => JSON.parse(await curl('-d', body, '/grpc.health.v1.Health/Check')) as unknown;
  expect(await check('{}')).toEqual({ status: 'SERVING' });
  expect(await check('{"service":"partita.v1.ClusterService"}')).toEqual({ status: 'SERVING' });
  serving.server.setServing(false);
  expect(await check('{}')).toEqual({ status: 'NOT_SERVING' });
});

test('every method of the contract is found, with all that its file imports', () => {
  const index = descriptorIndex();
  const files = index.bySymbol('partita.v1.TopicService.GetTopic');
  expect(files?.length).toBeGreaterThan(1);
  expect(index.byFileName('partita/v1/topic_service.proto')).toEqual(files);
  expect(index.bySymbol('partita.v1.Nothing')).toBeUndefined();
  expect(index.extensionNumbers('google.protobuf.EnumValueOptions')).toEqual([50611]);
  expect(index.byExtension('google.protobuf.EnumValueOptions', 50611)).toBeDefined();
  expect(Object.keys(TopicServiceService).length).toBeGreaterThan(0);
  expect(builtInFiles().length).toBe(3);
});

test('a question with fields that are not known is still read', () => {
  const bytes = Uint8Array.from([0x0a, 1, 0x68, 0x22, 1, 0x61, 0x78, 5]);
  expect(decodeReflectionRequest(bytes).question).toEqual({ kind: 'fileOfSymbol', name: 'a' });
});
