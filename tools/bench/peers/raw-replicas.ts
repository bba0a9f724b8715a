/** The raw replicas: as many processes as there are brokers, each of which leads, and follows all others. */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { addressOf, nextMessage } from '../child-process.ts';
import { BROKER_COUNT } from '../workload.ts';

const REPLICA = fileURLToPath(new URL('./raw-replica.ts', import.meta.url));
/** As brokers are started. */
const THREAD_POOL_SIZE = '32';

export class RawReplicas {
  readonly addresses: readonly string[];
  readonly #children: readonly ChildProcess[];

  private constructor(addresses: readonly string[], children: readonly ChildProcess[]) {
    this.addresses = addresses;
    this.#children = children;
  }

  /** Resolves when each follows all others. With a folder they store what they are sent there. */
  static async start(folder?: string): Promise<RawReplicas> {
    const env = { ...process.env, UV_THREADPOOL_SIZE: THREAD_POOL_SIZE };
    const args = folder === undefined ? [] : [folder];
    const children = Array.from({ length: BROKER_COUNT }, () => fork(REPLICA, args, { env }));
    const addresses = await Promise.all(children.map(addressOf));
    await Promise.all(
      children.map(async (child, index) => {
        const following = nextMessage(child);
        child.send(addresses.toSpliced(index, 1));
        await following;
      }),
    );
    return new RawReplicas(addresses, children);
  }

  get pids(): readonly number[] {
    return this.#children.flatMap(({ pid }) => pid ?? []);
  }

  stop(): void {
    for (const child of this.#children) child.disconnect();
  }
}
