/** The processes of simple clients, as the bench sees them: all are given the same order at the same time. */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { nextMessage } from '../child-process.ts';

const CLIENTS = fileURLToPath(new URL('./clients.ts', import.meta.url));

export type ClientOrder =
  | {
      readonly kind: 'open';
      /** Of the gateway. */
      readonly address: string;
      readonly topic: string;
      /** Number of the first client, and how many. */
      readonly first: number;
      readonly count: number;
    }
  | { readonly kind: 'run'; readonly warmUpMs: number; readonly seconds: number }
  | { readonly kind: 'close' };

/** Acknowledged records of each client, and how often each error was met. */
export interface ClientCounts {
  readonly counts: readonly number[];
  readonly errors: Readonly<Record<string, number>>;
}

export type ClientAnswer = ClientCounts | { readonly error: string };

export class ClientProcesses {
  readonly #children: readonly ChildProcess[];

  private constructor(children: readonly ChildProcess[]) {
    this.#children = children;
  }

  static async start(count: number): Promise<ClientProcesses> {
    const children = Array.from({ length: count }, () => fork(CLIENTS));
    await Promise.all(children.map(nextMessage));
    return new ClientProcesses(children);
  }

  /** Opens the connections, one record on each. */
  async open(address: string, topic: string, connections: number): Promise<void> {
    const share = Math.ceil(connections / this.#children.length);
    await this.#order((index) => {
      const first = index * share;
      return { kind: 'open', address, topic, first, count: Math.max(0, Math.min(share, connections - first)) };
    });
  }

  async run(warmUpMs: number, seconds: number): Promise<ClientCounts> {
    const answers = await this.#order(() => ({ kind: 'run', warmUpMs, seconds }));
    const errors: Record<string, number> = {};
    for (const answer of answers)
      for (const [reason, count] of Object.entries(answer.errors)) errors[reason] = (errors[reason] ?? 0) + count;
    return { counts: answers.flatMap(({ counts }) => counts), errors };
  }

  async close(): Promise<void> {
    await this.#order(() => ({ kind: 'close' }));
  }

  stop(): void {
    for (const child of this.#children) if (child.connected) child.disconnect();
  }

  async #order(orderOf: (index: number) => ClientOrder): Promise<readonly ClientCounts[]> {
    const answers = this.#children.map(async (child, index) => {
      const answer = nextMessage(child);
      child.send(orderOf(index));
      return (await answer) as ClientAnswer;
    });
    return (await Promise.all(answers)).map((answer) => {
      if ('error' in answer) throw new Error(`a client failed: ${answer.error}`);
      return answer;
    });
  }
}
