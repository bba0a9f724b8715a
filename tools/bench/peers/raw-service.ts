/** The service of the raw peers: bytes as they are, without protobuf, storage or routes. */
import { credentials } from '@grpc/grpc-js';
import type { ClientOptions, MethodDefinition } from '@grpc/grpc-js';
import { STREAM_WINDOW_BYTES } from '../workload.ts';

const MESSAGE_BYTES_MAX = 16 * 1024 * 1024;

/** Answers of a raw peer are about as long as an acknowledgement of ours. */
export const ACK = Buffer.alloc(48);

const same = (bytes: Buffer): Buffer => bytes;

function method(name: string, requestStream: boolean, responseStream: boolean): MethodDefinition<Buffer, Buffer> {
  return {
    path: `/bench.Raw/${name}`,
    requestStream,
    responseStream,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  };
}

export const RAW_SERVICE = {
  /** Frames one way, an ACK for each the other way, in any order. */
  push: method('Push', true, true),
  /** Opened by a follower: a message that opens it and then frames one way, an ACK for each frame the other way. */
  follow: method('Follow', true, true),
  /** Frames of BATCH_BYTES until the caller has enough. */
  pull: method('Pull', false, true),
  /** A record for an ACK. */
  call: method('Call', false, false),
} as const;

/** As the channels of ours are set, as far as it matters for speed. */
export const CHANNEL_OPTIONS: Partial<ClientOptions> = {
  'grpc-node.flow_control_window': STREAM_WINDOW_BYTES,
  'grpc.max_receive_message_length': MESSAGE_BYTES_MAX,
  'grpc.enable_channelz': 0,
  'grpc.use_local_subchannel_pool': 1,
  'grpc.enable_http_proxy': 0,
};

export const SERVER_OPTIONS = {
  'grpc.max_receive_message_length': MESSAGE_BYTES_MAX,
  'grpc.enable_channelz': 0,
} as const;

export const PLAINTEXT = credentials.createInsecure();
