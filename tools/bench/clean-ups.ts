/** What a bench leaves behind is undone however it ends: at its end, after an error, on Ctrl-C. */

export class CleanUps {
  /** Last first. */
  readonly #steps: (() => Promise<void> | void)[] = [];
  #isLeaving = false;

  /** Also leaves when the process is asked to end. */
  constructor() {
    process.once('SIGINT', () => void this.leave(130));
    process.once('SIGTERM', () => void this.leave(143));
  }

  /** True once the end has begun: what fails then fails because of it. */
  get isLeaving(): boolean {
    return this.#isLeaving;
  }

  add(step: () => Promise<void> | void): void {
    this.#steps.push(step);
  }

  /** Cleans up and ends the process; a second call leaves that to the first. */
  async leave(exitCode: number): Promise<void> {
    if (this.#isLeaving) return;
    this.#isLeaving = true;
    for (const step of this.#steps.splice(0).reverse()) {
      try {
        await step();
      } catch (error) {
        process.stderr.write(`While cleaning up: ${error instanceof Error ? error.message : String(error)}\n`);
      }
    }
    process.exit(exitCode);
  }
}
