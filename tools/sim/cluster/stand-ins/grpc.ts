/**
 * Stands in for @grpc/grpc-js in a simulated cluster: as much of it as libs/rpc uses, on the simulated network. Messages are
 * encoded, copied and decoded as they are there.
 */
export { connectivityState, credentials, Metadata, ServerCredentials, status } from '@grpc/grpc-js';
export { Channel, Client } from './grpc-client.ts';
export { Server } from './grpc-server.ts';
