/**
 * `recover broker`: a start as a trace, from the data directory to the first coordinator that has taken the broker in, with a
 * part for each phase.
 */
import { beginOperation, UNTRACED } from '@partita/rpc';
import type { Operation, TracingMode } from '@partita/rpc';

export class RecoveryTrace {
  readonly #operation: Operation;
  #session: Operation = UNTRACED;

  constructor(tracing: TracingMode, brokerId: number) {
    const attributes = { 'partita.broker.id': brokerId };
    this.#operation = beginOperation(tracing, 'recover_broker', 'recover broker', { attributes });
  }

  /** Does the work of a phase; the start fails with it. */
  async phase<Result>(name: string, work: () => Promise<Result>): Promise<Result> {
    try {
      return await this.#operation.within(() => this.#operation.part(name, {}, work));
    } catch (error) {
      this.end(error);
      throw error;
    }
  }

  /** The broker listens and looks for coordinators. */
  listens(replicaCount: number, isClean: boolean): void {
    this.#operation.set('partita.replica_count', replicaCount);
    this.#operation.set('partita.clean_shutdown', isClean);
    this.#session = this.#operation.begin('coordinator session');
  }

  /** A coordinator has taken it in; again without effect. */
  registered(): void {
    this.end();
  }

  /** The start is over, by an error where there is one. Again without effect. */
  end(error?: unknown): void {
    if (error !== undefined) this.#operation.fail(error);
    this.#session.end();
    this.#operation.end();
  }
}
