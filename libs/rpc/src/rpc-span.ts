/** Names and attributes of spans, by the semantic conventions for RPC. */
import type { Attributes } from '@opentelemetry/api';

/** `/partita.v1.TopicService/GetTopic` as a span is called: `partita.v1.TopicService/GetTopic`. */
export function spanName(path: string): string {
  return path.slice(1);
}

export function rpcAttributes(path: string): Attributes {
  const slash = path.lastIndexOf('/');
  return { 'rpc.system': 'grpc', 'rpc.service': path.slice(1, slash), 'rpc.method': path.slice(slash + 1) };
}
