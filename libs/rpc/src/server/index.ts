/** Answering others: a server with limits, health, reflection and a written shutdown; handlers as plain functions. */
export { createRpcServer } from './grpc-server.ts';
export type { RpcServer, RpcServerOptions } from './grpc-server.ts';
export type { RpcLogger } from './server-core.ts';
export type { CallContext } from './call-context.ts';
export { bidi, implement, serverStreaming, unary } from './methods.ts';
export type {
  BidiHandlers,
  BidiMethod,
  Implementation,
  Method,
  RelayChoice,
  ServerStream,
  ServerBidiStream,
  ServerStreamMethod,
  UnaryMethod,
} from './methods.ts';
export { DirectoryHolder } from './directory.ts';
export type { Directory, DirectoryChange, DirectoryView } from './directory.ts';
export { directoryMethods } from './directory-service.ts';
export type { DirectoryServiceOptions } from './directory-service.ts';
export { processMethods } from './process-service.ts';
export type { LevelControl } from './process-service.ts';
export type { ListenerLimits, ListenerKind } from './limits.ts';
export { callerPeer, isRelayed, relayMetadata } from './relay.ts';
export { relayBidi } from './relay-stream.ts';
export type { RelayOptions } from './relay-stream.ts';
