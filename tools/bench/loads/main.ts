/** The process of a load generator: apart, so that its work is not the orchestrator's. Jobs come as messages. */
import { asPartitaError, PartitaError } from '@partita/domain';
import type { Job } from '../sample.ts';
import type { LoadAnswer, LoadRunner, LoadTarget } from './load-runner.ts';
import { PartitaLoads } from './partita-loads.ts';
import { RawLoads } from './raw-loads.ts';
import { TelemetryLoads } from './telemetry-loads.ts';
import { StorageLoads } from '../storage-loads/storage-loads.ts';

const target = JSON.parse(process.argv[2] ?? '') as LoadTarget;
const runner = await runnerOf(target);

process.on('message', (job: Job) => {
  void answer(job).then((message) => process.send?.(message));
});
process.on('disconnect', () => process.exit(0));
process.send?.({ ready: true });

async function runnerOf(of: LoadTarget): Promise<LoadRunner> {
  switch (of.kind) {
    case 'partita':
      return PartitaLoads.connect(of.servers);
    case 'telemetry':
      return TelemetryLoads.connect(of.servers);
    case 'raw':
      return new RawLoads(of);
    case 'storage':
      return new StorageLoads(of.directory);
  }
}

async function answer(job: Job): Promise<LoadAnswer> {
  try {
    return { sample: await runner.run(job) };
  } catch (thrown) {
    const error = asPartitaError(thrown);
    const text = thrown instanceof PartitaError ? `${error.reason}: ${error.message}` : String(thrown);
    return { error: `${job.load}: ${text}` };
  }
}
