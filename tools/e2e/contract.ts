/** The public contract as data, from the descriptors that reflection serves: every RPC, and who answers it. */
import { readFileSync } from 'node:fs';
import { createFileRegistry, fromBinary } from '@bufbuild/protobuf';
import type { DescMessage } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { descriptorsPath } from '@partita/protocol';
import type { Cluster } from './harness.ts';

export type Listener = keyof Cluster['addresses'];

export interface Rpc {
  /** `/partita.v1.TopicService/GetTopic`. */
  readonly path: string;
  readonly input: DescMessage;
  readonly clientStreams: boolean;
  readonly serverStreams: boolean;
  /** The listeners whose own work it is; GetCluster and its siblings are answered by all. */
  readonly listeners: readonly Listener[];
}

const EVERY: readonly Listener[] = ['gateway', 'consumerGroup', 'coordinator', 'broker'];
const LISTENERS: Readonly<Record<string, readonly Listener[]>> = {
  'partita.v1.ProducerService': ['gateway'],
  'partita.v1.GroupService': ['consumerGroup'],
  'partita.v1.TopicService': ['coordinator'],
  'partita.v1.BrokerService': ['broker'],
  'partita.v1.ProcessService': EVERY,
};
const ANSWERED_BY_ALL = new Set(['GetCluster', 'GetRoutes', 'WatchRoutes']);
/** The console's, which is not part of this cluster. */
const ELSEWHERE = new Set(['partita.v1.TraceService']);

/** All RPCs of `partita.v1`. */
export function publicRpcs(): Rpc[] {
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(descriptorsPath)));
  const services = [...registry].filter((type) => type.kind === 'service');
  return services
    .filter(({ typeName }) => typeName.startsWith('partita.v1.') && !ELSEWHERE.has(typeName))
    .flatMap(({ typeName, methods }) =>
      methods.map((method) => ({
        path: `/${typeName}/${method.name}`,
        input: method.input,
        clientStreams: method.methodKind === 'client_streaming' || method.methodKind === 'bidi_streaming',
        serverStreams: method.methodKind === 'server_streaming' || method.methodKind === 'bidi_streaming',
        listeners: LISTENERS[typeName] ?? (ANSWERED_BY_ALL.has(method.name) ? EVERY : ['coordinator']),
      })),
    );
}
