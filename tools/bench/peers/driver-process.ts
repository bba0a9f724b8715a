/**
 * A load generator of a peer, in the language of the peer's own client: jobs go to its standard input as JSON, one a line,
 * and each is answered by one line. It ends when its input does, and so with the bench.
 */
import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Interface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import type { Sample } from '../sample.ts';

const TOLD_CHARS_MAX = 2000;
const START_SECONDS_MAX = 90;

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

export class DriverProcess {
  readonly #child: Child;
  readonly #lines: Interface;
  #errors = '';

  private constructor(child: Child) {
    this.#child = child;
    this.#lines = createInterface({ input: child.stdout });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#errors = (this.#errors + text).slice(-TOLD_CHARS_MAX);
    });
    // Writing to one that has ended: its exit says why.
    child.stdin.on('error', () => undefined);
  }

  /** Resolves when it says that it is ready. */
  static async start(command: string, args: readonly string[]): Promise<DriverProcess> {
    const driver = new DriverProcess(spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] }));
    await driver.#nextLine(START_SECONDS_MAX);
    return driver;
  }

  get pid(): number {
    const { pid } = this.#child;
    if (pid === undefined) throw new Error('a load generator did not start');
    return pid;
  }

  /** One at a time. Throws an Error when the job fails, or is not done in time: then it is ended, as a late answer is no one's. */
  async ask(job: object, secondsMax: number): Promise<unknown> {
    if (this.#hasEnded) throw this.#endedError();
    const line = this.#nextLine(secondsMax);
    this.#child.stdin.write(`${JSON.stringify(job)}\n`);
    const answer: unknown = JSON.parse(await line);
    if (typeof answer !== 'object' || answer === null) throw new Error(`a load answered ${JSON.stringify(answer)}`);
    if ('error' in answer) throw new Error(String(answer.error));
    return answer;
  }

  async stop(): Promise<void> {
    if (this.#hasEnded) return;
    const exit = once(this.#child, 'exit');
    this.#child.stdin.end();
    // It may hang in the middle of a job.
    const forced = setTimeout(() => this.#child.kill('SIGKILL'), 5000);
    await exit;
    clearTimeout(forced);
  }

  get #hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  #endedError(): Error {
    return new Error(`a load generator ended:\n${this.#errors}`);
  }

  #nextLine(secondsMax: number): Promise<string> {
    return new Promise((resolve, reject) => {
      const settle = (act: () => void) => () => {
        clearTimeout(late);
        this.#lines.off('line', onLine);
        this.#child.off('close', onClose);
        this.#child.off('error', onError);
        act();
      };
      const onLine = (line: string): void => settle(() => resolve(line))();
      const onError = (error: Error): void => settle(() => reject(error))();
      const onClose = settle(() => reject(this.#endedError()));
      const late = setTimeout(
        settle(() => {
          this.#child.kill('SIGKILL');
          reject(new Error(`a load generator said nothing for ${secondsMax} s\n${this.#errors}`));
        }),
        secondsMax * 1000,
      );
      this.#lines.once('line', onLine);
      this.#child.once('error', onError);
      this.#child.once('close', onClose);
    });
  }
}

/** What a driver measured. Throws an Error for an answer that is no sample. */
export function sampleOf(answer: unknown): Sample {
  const { recordCount, bytes, durationMs, latencies } = answer as Partial<Record<keyof Sample, unknown>>;
  const isCount = (value: unknown): value is number => typeof value === 'number' && value >= 0;
  if (!isCount(recordCount) || !isCount(bytes) || !isCount(durationMs)) {
    throw new Error(`no sample of a load: ${JSON.stringify(answer)}`);
  }
  return { recordCount, bytes, durationMs, ...(typeof latencies === 'string' ? { latencies } : {}) };
}
