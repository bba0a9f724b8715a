/** What a console can be told. */
import { defineConfig, LOG_LEVELS, METRICS_OPTIONS } from '@partita/runtime';

export const CONSOLE_CONFIG = defineConfig({
  listen: {
    kind: 'address',
    default: '127.0.0.1:4317',
    help: 'where exporters send spans (OTLP over gRPC) and the command line asks for traces',
  },
  'traces-dir': { kind: 'text', help: 'directory of the newest traces, at most 32 MiB; made when there is none' },
  insecure: { kind: 'flag', help: 'allows plaintext on an address that is not loopback' },
  ...METRICS_OPTIONS,
  'log-level': { kind: 'choice', choices: LOG_LEVELS, default: 'info', help: 'level of the log' },
});
