/** The calling half of the stand-in for grpc-js. */
import { EventEmitter } from 'node:events';
import { connectivityState, Metadata, status as code } from '@grpc/grpc-js';
import { Way } from '../network.ts';
import type { Connection } from '../connection.ts';
import type { SimulatedProcess } from '../processes.ts';
import { callStatus, here, onTheWire } from './grpc-wire.ts';
import type { CallStatus, Copyable } from './grpc-wire.ts';
import { ServerCall } from './grpc-server-call.ts';

const CONNECT_MS_MAX = 20_000;
const BACKOFF_MS_MIN = 100;
const BACKOFF_MS_MAX = 1000;

type Serialize = (message: unknown) => Copyable;
type Deserialize = (bytes: Buffer) => unknown;
type Callback = (error: Error | null, response?: unknown) => void;

/** What a callInvocationTransformer may change. */
interface CallProperties {
  readonly argument: unknown;
  readonly metadata: Metadata;
  readonly call: EventEmitter;
  readonly channel: Channel;
  readonly methodDefinition: object;
  readonly callOptions: { readonly deadline?: number };
  readonly callback?: Callback;
}

interface ClientOptions {
  readonly channelOverride?: Channel;
  readonly callInvocationTransformer?: (properties: CallProperties) => CallProperties;
}

/** How a call begins. */
interface CallStart {
  readonly metadata: Metadata;
  readonly deadline: number | undefined;
  readonly callback: Callback | undefined;
  /** Of a call with one. */
  readonly request: Buffer | undefined;
}

/** An address, and the connection to it: made by the first call, made again after each loss. */
export class Channel {
  readonly owner: SimulatedProcess;
  readonly #address: string;
  #connection: Connection | undefined;
  #waiting: ClientCall[] = [];
  #isConnecting = false;
  #isClosed = false;
  #failureCount = 0;
  #notBeforeMs = 0;

  constructor(address: string) {
    this.owner = here();
    this.#address = address;
  }

  getTarget(): string {
    return `dns:${this.#address}`;
  }

  getConnectivityState(): number {
    return this.#isClosed ? connectivityState.SHUTDOWN : connectivityState.IDLE;
  }

  /** Calls under way go on. */
  close(): void {
    this.#isClosed = true;
    this.#fail('Channel closed before call started', code.UNAVAILABLE);
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  start(call: ClientCall): void {
    const { time } = this.owner.machine.network;
    if (this.#connection?.isUp === true) {
      call.begin(this.#connection);
      return;
    }
    if (time.nowMs < this.#notBeforeMs) {
      const refused = callStatus(code.UNAVAILABLE, `No connection established. Last error: connect ECONNREFUSED`);
      queueMicrotask(() => call.finish(refused));
      return;
    }
    this.#waiting.push(call);
    if (!this.#isConnecting) this.#connect();
  }

  #connect(): void {
    const { owner } = this;
    const { network } = owner.machine;
    const address = this.#address;
    const host = address.slice(0, address.lastIndexOf(':'));
    const way = new Way();
    this.#isConnecting = true;
    let isDone = false;
    const settle = (work: () => void) =>
      owner.run(() => {
        if (isDone) return;
        isDone = true;
        this.#isConnecting = false;
        work();
      });
    network.time.of(owner, CONNECT_MS_MAX, () => settle(() => this.#refused('connect ETIMEDOUT')));
    network.send(owner.host, host, way, 'connect', () => {
      const listener = network.listenerAt(address);
      if (listener === undefined) {
        network.send(host, owner.host, way, 'refused', () => settle(() => this.#refused('connect ECONNREFUSED')));
        return;
      }
      listener.process.run(() => {
        const connection = network.connect(owner, listener, address);
        network.send(host, owner.host, way, 'connected', () => settle(() => this.#connected(connection)));
      });
    });
  }

  #connected(connection: Connection): void {
    this.#failureCount = 0;
    this.#connection = connection;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const call of waiting) this.start(call);
  }

  #refused(why: string): void {
    this.#failureCount += 1;
    const { time } = this.owner.machine.network;
    this.#notBeforeMs = time.nowMs + Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** (this.#failureCount - 1));
    this.#fail(`No connection established. Last error: ${why}`, code.UNAVAILABLE);
  }

  #fail(why: string, status: number): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const call of waiting) call.finish(callStatus(status, why));
  }
}

export class Client {
  readonly #channel: Channel;
  readonly #transform: NonNullable<ClientOptions['callInvocationTransformer']>;

  constructor(address: string, _credentials: unknown, options: ClientOptions = {}) {
    this.#channel = options.channelOverride ?? new Channel(address);
    this.#transform = options.callInvocationTransformer ?? ((properties) => properties);
  }

  getChannel(): Channel {
    return this.#channel;
  }

  close(): void {
    this.#channel.close();
  }

  // eslint-disable-next-line max-params -- as grpc-js has it
  makeUnaryRequest(
    path: string,
    requestSerialize: Serialize,
    responseDeserialize: Deserialize,
    argument: unknown,
    metadata: Metadata,
    callOptions: { readonly deadline?: number },
    callback: Callback,
  ): ClientCall {
    return this.#call(path, { requestSerialize, responseDeserialize, metadata, callOptions, argument, callback });
  }

  // eslint-disable-next-line max-params -- as grpc-js has it
  makeServerStreamRequest(
    path: string,
    requestSerialize: Serialize,
    responseDeserialize: Deserialize,
    argument: unknown,
    metadata: Metadata,
    callOptions: { readonly deadline?: number },
  ): ClientCall {
    return this.#call(path, { requestSerialize, responseDeserialize, metadata, callOptions, argument });
  }

  makeBidiStreamRequest(
    path: string,
    requestSerialize: Serialize,
    responseDeserialize: Deserialize,
    metadata: Metadata,
    callOptions: { readonly deadline?: number },
  ): ClientCall {
    return this.#call(path, { requestSerialize, responseDeserialize, metadata, callOptions, argument: undefined });
  }

  #call(
    path: string,
    given: {
      readonly requestSerialize: Serialize;
      readonly responseDeserialize: Deserialize;
      readonly argument: unknown;
      readonly metadata: Metadata;
      readonly callOptions: { readonly deadline?: number };
      readonly callback?: Callback;
    },
  ): ClientCall {
    if (this.#channel.isClosed) throw new Error('Channel has been shut down');
    const { requestSerialize, responseDeserialize, argument, metadata, callOptions, callback } = given;
    const call = new ClientCall(this.#channel, path, requestSerialize, responseDeserialize);
    const properties = this.#transform({
      argument,
      metadata,
      call,
      channel: this.#channel,
      methodDefinition: { path },
      callOptions,
      ...(callback === undefined ? {} : { callback }),
    });
    // A call with one request sends it, and its end, with its beginning.
    const request = argument === undefined ? undefined : onTheWire(requestSerialize(argument));
    call.start({
      metadata: properties.metadata,
      deadline: callOptions.deadline,
      callback: properties.callback,
      request,
    });
    return call;
  }
}

/** A call as its caller holds it, of any kind. */
export class ClientCall extends EventEmitter {
  readonly path: string;
  readonly #channel: Channel;
  readonly #serialize: Serialize;
  readonly #deserialize: Deserialize;
  readonly #way = new Way();
  #metadata = new Metadata();
  #deadlineMs = Infinity;
  #request: Buffer | undefined;
  #callback: Callback | undefined;
  #response: unknown;
  #connection: Connection | undefined;
  #server: ServerCall | undefined;
  /** Before there is a connection. */
  #unsent: (() => void)[] = [];
  #isOver = false;
  #isPaused = false;
  #received: (() => void)[] = [];

  constructor(channel: Channel, path: string, serialize: Serialize, deserialize: Deserialize) {
    super();
    this.path = path;
    this.#channel = channel;
    this.#serialize = serialize;
    this.#deserialize = deserialize;
  }

  start({ metadata, deadline, callback, request }: CallStart): void {
    const { owner } = this.#channel;
    const { time } = owner.machine.network;
    this.#metadata = metadata.clone();
    this.#callback = callback;
    this.#request = request;
    if (deadline !== undefined) {
      const leftMs = Math.max(0, deadline - Date.now());
      this.#deadlineMs = leftMs;
      time.of(owner, leftMs, () => {
        this.#sendCancel();
        this.finish(callStatus(code.DEADLINE_EXCEEDED, 'Deadline exceeded'));
      });
    }
    this.#channel.start(this);
  }

  /** There is a connection. */
  begin(connection: Connection): void {
    if (this.#isOver) return;
    const { path } = this;
    this.#connection = connection;
    connection.add('client', this);
    const metadata = this.#metadata;
    const deadlineMs = this.#deadlineMs;
    const request = this.#request;
    connection.send('client', this.#way, `call ${path} ${request?.length ?? ''}`, () => {
      const server = new ServerCall({ connection, client: this, path, metadata, deadlineMs });
      this.#server = server;
      connection.listener.accept(server);
      if (request !== undefined) server.receive(request);
    });
    const unsent = this.#unsent;
    this.#unsent = [];
    for (const send of unsent) send();
  }

  write(message: unknown, written?: () => void): boolean {
    const bytes = onTheWire(this.#serialize(message));
    this.#send(`${bytes.length} B of ${this.path}`, (server) => server.receive(bytes));
    if (written !== undefined) queueMicrotask(written);
    return true;
  }

  end(): void {
    this.#send(`end of ${this.path}`, (server) => server.receiveEnd());
  }

  cancel(): void {
    this.#sendCancel();
    queueMicrotask(() => this.finish(callStatus(code.CANCELLED, 'Cancelled on client')));
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
    return this.#connection?.address ?? 'unknown';
  }

  onBroken(why: string): void {
    this.finish(callStatus(code.UNAVAILABLE, why));
  }

  receive(bytes: Buffer): void {
    if (this.#isOver) return;
    if (this.#callback !== undefined) this.#response = this.#deserialize(bytes);
    else this.#inOrder(() => this.emit('data', this.#deserialize(bytes)));
  }

  receiveStatus(status: CallStatus): void {
    this.#inOrder(() => this.finish(status));
  }

  /** The call is over for its caller. */
  finish(status: CallStatus): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#connection?.remove('client', this);
    const callback = this.#callback;
    if (status.code === code.OK) {
      if (callback !== undefined) callback(null, this.#response);
      else this.emit('end');
      return;
    }
    const error = Object.assign(new Error(`${status.code}: ${status.details}`), status);
    if (callback !== undefined) callback(error);
    else if (this.listenerCount('error') > 0) this.emit('error', error);
    if (callback === undefined) this.emit('end');
  }

  /** What is received may pause the call again. */
  #flush(): void {
    while (!this.#isPaused && this.#received.length > 0) this.#received.shift()?.();
  }

  #inOrder(work: () => void): void {
    if (this.#isPaused || this.#received.length > 0) this.#received.push(work);
    else work();
  }

  #sendCancel(): void {
    if (this.#isOver) return;
    this.#send(`cancel ${this.path}`, (server) => server.over());
  }

  #send(label: string, work: (server: ServerCall) => void): void {
    if (this.#isOver) return;
    const connection = this.#connection;
    if (connection === undefined) {
      this.#unsent.push(() => this.#send(label, work));
      return;
    }
    connection.send('client', this.#way, label, () => {
      if (this.#server !== undefined) work(this.#server);
    });
  }
}
