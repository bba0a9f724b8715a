import {
  GATEWAY_BYTES_IN_FLIGHT_MAX,
  GATEWAY_CLIENT_BYTES_IN_FLIGHT_MAX,
  GATEWAY_CONNECTION_BYTES_IN_FLIGHT_MAX,
  GATEWAY_LEADER_BYTES_IN_FLIGHT_MAX,
} from '@partita/domain';
import { defineConfig, LOG_LEVELS, METRICS_OPTIONS } from '@partita/runtime';

const BYTES_IN_FLIGHT_MIN = '64KiB';

/** Options of the producer-gateway. */
export const GATEWAY_CONFIG = defineConfig({
  listen: { kind: 'address', default: '127.0.0.1:0', help: 'address for clients' },
  advertise: { kind: 'address', optional: true, help: 'address that clients are told; default: the one listened on' },
  coordinators: { kind: 'list', items: 'address', help: 'peer addresses of all coordinators' },
  insecure: { kind: 'flag', help: 'allows plaintext on an address that is not loopback' },
  'bytes-in-flight-max': {
    kind: 'bytes',
    default: GATEWAY_BYTES_IN_FLIGHT_MAX,
    min: BYTES_IN_FLIGHT_MIN,
    help: 'memory for requests that are not answered; what is beyond is refused with QUEUE_FULL',
  },
  'client-bytes-in-flight-max': {
    kind: 'bytes',
    default: GATEWAY_CLIENT_BYTES_IN_FLIGHT_MAX,
    min: BYTES_IN_FLIGHT_MIN,
    help: 'that of one client id, or of one address for clients without; never more than is left free of the whole',
  },
  'connection-bytes-in-flight-max': {
    kind: 'bytes',
    default: GATEWAY_CONNECTION_BYTES_IN_FLIGHT_MAX,
    min: BYTES_IN_FLIGHT_MIN,
    help: 'that of one connection',
  },
  'leader-bytes-in-flight-max': {
    kind: 'bytes',
    default: GATEWAY_LEADER_BYTES_IN_FLIGHT_MAX,
    min: BYTES_IN_FLIGHT_MIN,
    help: 'that on its way to one broker; of a client or a connection never more than is left free of its share',
  },
  merge: {
    kind: 'choice',
    choices: ['on', 'off'],
    default: 'on',
    help: 'records of many requests share a batch; off = a batch for each request, to compare, at many times the cost',
  },
  ...METRICS_OPTIONS,
  'log-level': { kind: 'choice', choices: LOG_LEVELS, default: 'info', help: 'level of the log' },
});
