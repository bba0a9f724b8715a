/**
 * Loaded into services by `--import`: notes the delay of a broker's event loop every half second, as JSON lines in
 * `<EVENT_LOOP_PROBE_DIR>/broker-<pid>.jsonl`. In other processes it does nothing.
 */
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { isMainThread } from 'node:worker_threads';

const INTERVAL_MS = 500;
const folder = process.env['EVENT_LOOP_PROBE_DIR'];
if (folder !== undefined && isMainThread && process.argv[1]?.includes('apps/broker/') === true) {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  setInterval(() => {
    const line = { wallMs: Date.now(), p99Ms: delay.percentile(99) / 1e6, maxMs: delay.max / 1e6 };
    delay.reset();
    appendFileSync(join(folder, `broker-${process.pid}.jsonl`), `${JSON.stringify(line)}\n`);
  }, INTERVAL_MS).unref();
}
