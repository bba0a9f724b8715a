import { defineConfig, LOG_LEVELS, METRICS_OPTIONS } from '@partita/runtime';

/** Options of the producer-gateway. */
export const GATEWAY_CONFIG = defineConfig({
  listen: { kind: 'address', default: '127.0.0.1:0', help: 'address for clients' },
  advertise: { kind: 'address', optional: true, help: 'address that clients are told; default: the one listened on' },
  coordinators: { kind: 'list', items: 'address', help: 'peer addresses of all coordinators' },
  insecure: { kind: 'flag', help: 'allows plaintext on an address that is not loopback' },
  ...METRICS_OPTIONS,
  'log-level': { kind: 'choice', choices: LOG_LEVELS, default: 'info', help: 'level of the log' },
});
