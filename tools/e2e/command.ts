/** Commands as a user types them: the CLI, buf, shell blocks of the README. Bounded in time. */
import { spawn } from 'node:child_process';
import { delimiter, join } from 'node:path';
import { withCompileCache } from '@partita/tool-dev/compile-cache.ts';
import { ROOT } from './root.ts';

export interface CommandResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Written to stdin, which is then closed. */
  readonly input?: string;
  readonly secondsMax?: number;
  readonly cwd?: string;
}

/** Runs a command in the workspace with node_modules/.bin first on the PATH. Kills it and rejects when it takes too long. */
export function run(command: string, args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const inherited = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(PARTITA_|OTEL_|VITEST|NODE_OPTIONS$)/.test(name)),
  );
  const path = [join(ROOT, 'node_modules/.bin'), inherited['PATH'] ?? ''].join(delimiter);
  const child = spawn(command, [...args], {
    cwd: options.cwd ?? ROOT,
    env: withCompileCache({ ...inherited, PATH: path, ...options.env }),
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
  child.stdin.on('error', () => undefined); // it may end before it reads
  child.stdin.end(options.input ?? '');
  const secondsMax = options.secondsMax ?? 30;
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`${command} ${args.join(' ')} took longer than ${secondsMax} s\n${stdout}\n${stderr}`));
    }, secondsMax * 1000);
    child.once('error', reject);
    child.once('close', (code) => {
      clearTimeout(timer);
      resolve({ code, stdout, stderr });
    });
  });
}

/** The CLI as it is installed. */
export function partita(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  return run(process.execPath, [join(ROOT, 'apps/cli/bin/partita.js'), ...args], options);
}

/** Standard output of a command that must succeed. */
export async function outputOf(result: Promise<CommandResult>): Promise<string> {
  const { code, stdout, stderr } = await result;
  if (code !== 0) throw new Error(`exit code ${code}\n${stdout}\n${stderr}`);
  return stdout;
}
