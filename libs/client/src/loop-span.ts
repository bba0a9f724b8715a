/** The `process` span of the record that a loop has: from its being handed out until the next is asked for. */
import type { Span } from '@opentelemetry/api';
import { spanTimeMs } from '@partita/rpc';
import type { CommitSpans } from './commit-spans.ts';
import type { Handling } from './handlers.ts';
import type { ReceivedRecord } from './record-form.ts';
import { processSpan, sampledContext } from './spans.ts';

export class LoopSpan {
  readonly #handling: Handling;
  readonly #commits: CommitSpans;
  #span: Span | undefined;
  #isFinished = false;

  constructor(handling: Handling, commits: CommitSpans) {
    this.#handling = handling;
    this.#commits = commits;
  }

  begin(record: ReceivedRecord): void {
    const { tracer, group } = this.#handling;
    if (tracer === undefined) return;
    this.#span = processSpan(tracer, group, record).span;
    this.#isFinished = false;
  }

  /** The record is to be committed, by the loop's going on or by the caller. */
  finished(): void {
    if (this.#span === undefined || this.#isFinished) return;
    this.#isFinished = true;
    this.#commits.finished(sampledContext(this.#span));
  }

  /** The loop goes on or is over. Again without effect. */
  end(): void {
    this.#span?.end(spanTimeMs());
    this.#span = undefined;
  }
}
