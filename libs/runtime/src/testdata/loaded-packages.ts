/** Prints the OpenTelemetry packages that a process has loaded which counts as its arguments say: `off` or `listening`. */
import { registerHooks } from 'node:module';

const loaded = new Set<string>();
registerHooks({
  load(url, context, nextLoad) {
    const [, name] = /\/node_modules\/(@opentelemetry\/[^/]+)\//.exec(url) ?? [];
    if (name !== undefined) loaded.add(name);
    return nextLoad(url, context);
  },
});

const { createLogger, startTelemetry } = await import('../index.ts');
const isListening = process.argv[2] === 'listening';
const logger = createLogger({ service: 'test', instance: 't1', level: 'silent', pretty: false });
const metrics = { metricsListen: isListening ? { host: '127.0.0.1', port: 0 } : undefined, metricsHosts: [] };
const telemetry = await startTelemetry({ service: 'test', version: '0', instance: 't1', env: {}, logger, metrics });
const { metricsAddress } = await telemetry.open();
telemetry.metrics.counter('partita.log.errors').of({ level: 'warn' }).add(1);
const before = [...loaded].sort();
if (isListening) await (await fetch(`http://${String(metricsAddress)}/metrics`)).text();
process.stdout.write(JSON.stringify({ before, after: [...loaded].sort() }));
process.exit(0);
