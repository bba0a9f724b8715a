/** A call as a server of the stand-in for grpc-js holds it. */
import { EventEmitter } from 'node:events';
import { Metadata, status as code } from '@grpc/grpc-js';
import { Way } from '../network.ts';
import type { Connection } from '../connection.ts';
import type { ClientCall } from './grpc-client.ts';
import { callStatus, here, onTheWire } from './grpc-wire.ts';
import type { CallStatus, Copyable } from './grpc-wire.ts';

/** A method as services define it. */
export interface MethodDefinition {
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  readonly requestDeserialize: (bytes: Buffer) => unknown;
  readonly responseSerialize: (message: unknown) => Copyable;
}

/** What handlers answer with. */
interface Answer extends Partial<CallStatus> {
  readonly message?: string;
}

interface CallParts {
  readonly connection: Connection;
  readonly client: ClientCall;
  readonly path: string;
  readonly metadata: Metadata;
  /** Milliseconds left for it. */
  readonly deadlineMs: number;
}

export class ServerCall extends EventEmitter {
  readonly path: string;
  readonly metadata: Metadata;
  request: unknown;
  readonly #parts: CallParts;
  readonly #way = new Way();
  readonly #deadline: number;
  #definition: MethodDefinition | undefined;
  #onRequest: (() => void) | undefined;
  /** Of a call with one response: it goes with the status. */
  #answer: Buffer | undefined;
  #isOver = false;
  #isPaused = false;
  #received: (() => void)[] = [];

  constructor(parts: CallParts) {
    super();
    const { connection, path, metadata, deadlineMs } = parts;
    this.path = path;
    this.metadata = metadata;
    this.#parts = parts;
    this.#deadline = Date.now() + deadlineMs;
    connection.add('server', this);
    if (deadlineMs === Infinity) return;
    const { time } = here().machine.network;
    time.after(deadlineMs, () => {
      if (!this.#isOver) this.sendStatus(callStatus(code.DEADLINE_EXCEEDED, 'Deadline exceeded'));
    });
  }

  /** Hands the call to its handler: at once, or when the one request is there. */
  open(definition: MethodDefinition, handle: (call: ServerCall, callback: unknown) => void): void {
    this.#definition = definition;
    // An error that is emitted on a stream is its status.
    this.on('error', (answer: Answer) => this.#fail(answer));
    if (definition.requestStream) handle(this, undefined);
    else this.#onRequest = () => handle(this, definition.responseStream ? undefined : this.#callback);
  }

  /** What interceptors put themselves in front of. */
  sendStatus(status: CallStatus): void {
    if (this.#isOver) return;
    const { connection, client, path } = this.#parts;
    const answer = this.#answer;
    connection.send('server', this.#way, `status ${status.code} ${answer?.length ?? ''} of ${path}`, () => {
      if (answer !== undefined) client.receive(answer);
      client.receiveStatus(status);
    });
    this.over();
  }

  receive(bytes: Buffer): void {
    const definition = this.#definition;
    if (this.#isOver || definition === undefined) return;
    const message = definition.requestDeserialize(bytes);
    if (definition.requestStream) {
      this.#inOrder(() => this.emit('data', message));
      return;
    }
    this.request = message;
    this.#onRequest?.();
  }

  receiveEnd(): void {
    if (!this.#isOver && this.#definition?.requestStream === true) this.#inOrder(() => this.emit('end'));
  }

  write(message: unknown, written?: () => void): boolean {
    if (this.#isOver || this.#definition === undefined) return false;
    const { connection, client, path } = this.#parts;
    const bytes = onTheWire(this.#definition.responseSerialize(message));
    connection.send('server', this.#way, `${bytes.length} B from ${path}`, () => client.receive(bytes));
    if (written !== undefined) queueMicrotask(written);
    return true;
  }

  end(trailers?: Metadata): void {
    this.sendStatus(callStatus(code.OK, '', trailers));
  }

  pause(): this {
    this.#isPaused = true;
    return this;
  }

  resume(): this {
    this.#isPaused = false;
    this.#flush();
    return this;
  }

  getPeer(): string {
    return `${this.#parts.connection.client.host}:40000`;
  }

  getDeadline(): number {
    return this.#deadline;
  }

  onBroken(): void {
    this.over();
  }

  /** The server cuts the call: its caller sees the stream reset. */
  cut(): void {
    if (this.#isOver) return;
    const { connection, client } = this.#parts;
    connection.send('server', this.#way, `reset of ${this.path}`, () => client.onBroken('Received RST_STREAM'));
    this.over();
  }

  /** The call is over, whyever; handlers learn it a moment later, as they do there. */
  over(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#parts.connection.remove('server', this);
    queueMicrotask(() => {
      if (this.#definition?.requestStream === true) this.emit('end');
      this.emit('cancelled', 'cancelled');
    });
  }

  readonly #callback = (error: Answer | null, response?: unknown, trailers?: Metadata): void => {
    if (error !== null) {
      this.#fail(error);
      return;
    }
    const serialize = this.#definition?.responseSerialize;
    if (!this.#isOver && serialize !== undefined) this.#answer = onTheWire(serialize(response));
    this.end(trailers);
  };

  #fail({ code: status = code.UNKNOWN, details, message, metadata }: Answer): void {
    this.sendStatus(callStatus(status, details ?? message ?? 'Unknown Error', metadata));
  }

  /** What is received may pause the call again. */
  #flush(): void {
    while (!this.#isPaused && this.#received.length > 0) this.#received.shift()?.();
  }

  #inOrder(work: () => void): void {
    if (this.#isPaused || this.#received.length > 0) this.#received.push(work);
    else work();
  }
}
