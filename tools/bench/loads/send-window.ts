/** Keeps a number of frames in flight for a time or a count, then waits for the rest. */

export interface SendWindowOptions {
  readonly seconds: number;
  readonly inFlightMax: number;
  /** Stops after this many frames. Default: none. */
  readonly frameCountMax?: number;
  /** Sends one frame; its answer is told by `answered`. */
  readonly send: () => void;
}

/** How many were answered, and how long it took from the first frame to the last answer. */
export interface WindowResult {
  readonly frameCount: number;
  readonly durationMs: number;
}

export class SendWindow {
  readonly result: Promise<WindowResult>;
  readonly #options: SendWindowOptions;
  #startMs = 0;
  #resolve: (result: WindowResult) => void = () => {};
  #reject: (error: Error) => void = () => {};
  #inFlight = 0;
  #answered = 0;

  constructor(options: SendWindowOptions) {
    this.#options = options;
    this.result = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** Starts the clock and begins to send. */
  start(): void {
    this.#startMs = performance.now();
    this.#fill();
  }

  answered(): void {
    this.#inFlight -= 1;
    this.#answered += 1;
    this.#fill();
    if (this.#inFlight > 0) return;
    this.#resolve({ frameCount: this.#answered, durationMs: performance.now() - this.#startMs });
  }

  fail(error: Error): void {
    this.#reject(error);
  }

  /** Sends while there is room and time. */
  #fill(): void {
    const { seconds, inFlightMax, frameCountMax = Infinity, send } = this.#options;
    const hasTime = (): boolean => performance.now() - this.#startMs < seconds * 1000;
    while (this.#inFlight < inFlightMax && this.#inFlight + this.#answered < frameCountMax && hasTime()) {
      this.#inFlight += 1;
      send();
    }
  }
}
