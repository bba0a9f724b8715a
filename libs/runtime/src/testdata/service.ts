/** A service for lifecycle.spec.ts, run as a real process; its arguments are the ways it misbehaves. */
import { createLogger, ExitError, EXIT_CODES, runProcess } from '../index.ts';

const modes = new Set(process.argv.slice(2));
const logger = createLogger({ service: 'test', instance: 't1', pretty: false });
// Something to keep the process up, as a listener would.
setInterval(() => undefined, 1000);

await runProcess({
  name: 'test',
  logger,
  drainMsMax: 600,
  stopWhenParentGone: modes.has('parent-gone'),
  telemetry: {
    async open() {
      if (modes.has('port-taken')) throw new ExitError(EXIT_CODES.configuration, 'the port is taken');
      return { metricsAddress: '127.0.0.1:3' };
    },
    onServing: () => logger.info('telemetry knows'),
    shutdown: async () => logger.info('telemetry flushed'),
  },
  reload: () => {
    if (modes.has('reload-fails')) throw new Error('no such certificate');
  },
  async start(context) {
    if (modes.has('stop-at-once')) context.stop('a test');
    if (modes.has('refused')) throw new ExitError(EXIT_CODES.refused, 'broker 1 is already in this cluster');
    if (modes.has('start-crashes')) throw new Error('no memory');
    if (modes.has('slow-start')) {
      logger.info('starting slowly');
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    if (modes.has('uncaught')) setTimeout(() => { throw new Error('a bug'); }, 10); // prettier-ignore
    if (modes.has('unhandled')) setTimeout(() => void Promise.reject(new Error('a lost bug')), 10);
    if (modes.has('fails-later')) setTimeout(() => context.fail(new ExitError(EXIT_CODES.dataDirectory, 'locked')), 10);
    return {
      ready: { address: '127.0.0.1:1', peerAddress: '127.0.0.1:2' },
      async drain() {
        logger.info('draining');
        if (modes.has('drain-hangs')) await new Promise(() => undefined);
        if (modes.has('drain-fails')) throw new Error('cannot drain');
      },
      async close() {
        logger.info('closing');
        if (modes.has('close-hangs')) await new Promise(() => undefined);
      },
    };
  },
});
