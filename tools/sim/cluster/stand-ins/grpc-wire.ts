/** What both sides of a simulated call share. */
import { Metadata } from '@grpc/grpc-js';
import { currentProcess } from '../processes.ts';
import type { SimulatedProcess } from '../processes.ts';

/** The status that ends a call. */
export interface CallStatus {
  readonly code: number;
  readonly details: string;
  readonly metadata: Metadata;
}

/** What a serialiser gives: a Buffer, or what can be copied as one. */
export interface Copyable {
  readonly length: number;
  copy(target: Uint8Array, at?: number): number;
}

/** The bytes as they go over the wire. */
export function onTheWire(bytes: Copyable): Buffer {
  const copy = Buffer.allocUnsafe(bytes.length);
  bytes.copy(copy, 0);
  return copy;
}

export function callStatus(code: number, details: string, metadata?: Metadata | null): CallStatus {
  return { code, details, metadata: metadata ?? new Metadata() };
}

/** The process that calls; there is no gRPC outside of one. */
export function here(): SimulatedProcess {
  const process = currentProcess();
  if (process === undefined) throw new Error('gRPC is used outside of a simulated process');
  return process;
}
