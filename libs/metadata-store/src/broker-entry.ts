/**
 * A broker's line in the directory: JSON text, a field of the hash `brokers` named by the broker's id,
 * `{"address":"127.0.0.1:9101","peerAddress":"127.0.0.1:9201","dirUuid":"…","incarnation":"…","rack":"",
 * "state":"up","sinceMs":1760000000000}`.
 */
import { field, oneOf, parseJson, STORED_ID_MAX, text, whole } from './stored-fields.ts';

export const BROKER_STATES = ['up', 'draining', 'down'] as const;
export type BrokerState = (typeof BROKER_STATES)[number];

export interface BrokerEntry {
  readonly brokerId: number;
  /** `host:port` for clients, and for the other services of the cluster. */
  readonly address: string;
  readonly peerAddress: string;
  readonly dirUuid: string;
  /** Which start of the broker this is; opaque here. */
  readonly incarnation: string;
  /** Empty when the broker has none. */
  readonly rack: string;
  readonly state: BrokerState;
  /** Since when it is in this state, milliseconds UTC. */
  readonly sinceMs: number;
}

export function encodeBrokerEntry(entry: BrokerEntry): string {
  const { address, peerAddress, dirUuid, incarnation, rack, state, sinceMs } = entry;
  return JSON.stringify({ address, peerAddress, dirUuid, incarnation, rack, state, sinceMs });
}

/** `id` is the name of the hash's field, `where` names key and field for the error. */
export function decodeBrokerEntry(where: string, id: string, stored: string): BrokerEntry {
  const entry = parseJson(where, stored);
  return {
    brokerId: whole({ where, value: id }, 1, STORED_ID_MAX),
    address: text(field(entry, 'address')),
    peerAddress: text(field(entry, 'peerAddress')),
    dirUuid: text(field(entry, 'dirUuid')),
    incarnation: text(field(entry, 'incarnation')),
    rack: text(field(entry, 'rack')),
    state: oneOf(field(entry, 'state'), BROKER_STATES),
    sinceMs: whole(field(entry, 'sinceMs')),
  };
}
