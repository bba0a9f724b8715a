/** The process behind `npx partita`: telemetry when the environment asks for it, one command, an exit code. */
import { createLogger, PRODUCT_VERSION, startTelemetry } from '@partita/runtime';
import { runCommand } from './program.ts';
import { processTerminal } from './terminal.ts';

export async function main(): Promise<void> {
  const terminal = processTerminal();
  const instance = String(process.pid);
  const telemetry = await startTelemetry({
    service: 'cli',
    version: PRODUCT_VERSION,
    instance,
    env: process.env,
    // stdout is for data.
    logger: createLogger({
      service: 'cli',
      instance,
      level: 'warn',
      output: { write: (line) => process.stderr.write(line) },
    }),
  });
  const code = await runCommand(process.argv.slice(2), terminal);
  await telemetry.shutdown();
  // What was written to a pipe has to get out before the process ends.
  await terminal.flushed();
  process.exit(code);
}
