/** The metadata that Partita reads and writes, and its limits; grpc-js has no option for them. */
import { randomUUID } from 'node:crypto';
import { Metadata } from '@grpc/grpc-js';
import {
  CLIENT_ID_BYTES_MAX,
  METADATA_BYTES_MAX,
  METADATA_ENTRY_COUNT_MAX,
  PartitaError,
  REQUEST_ID_CHARS_MAX,
} from '@partita/domain';

/** Who calls, as it names itself. */
export const CLIENT_ID_KEY = 'partita-client-id';
/** Names a call in the logs of both sides; also sent back in the trailers. */
export const REQUEST_ID_KEY = 'partita-request-id';
/** Set on a call that was passed on once, to the address of its caller: it is not passed on again. */
export const RELAYED_KEY = 'partita-relayed';

const REQUEST_ID = /^[A-Za-z0-9._:-]+$/;

/** Metadata of a call of our own. */
export function callMetadata(fields: { readonly clientId?: string; readonly requestId?: string }): Metadata {
  const metadata = new Metadata();
  if (fields.clientId !== undefined && fields.clientId !== '') metadata.set(CLIENT_ID_KEY, fields.clientId);
  metadata.set(REQUEST_ID_KEY, fields.requestId ?? randomUUID());
  return metadata;
}

/** The request id of a call; a new one when the caller sent none that can be used. Never throws: refusals carry it too. */
export function requestIdOf(metadata: Metadata): string {
  const sent = text(metadata, REQUEST_ID_KEY);
  return sent.length <= REQUEST_ID_CHARS_MAX && REQUEST_ID.test(sent) ? sent : randomUUID();
}

/** The client id of a call, empty when none was sent. Throws LIMIT_EXCEEDED or INVALID_REQUEST for unfit metadata. */
export function checkMetadata(metadata: Metadata): string {
  let count = 0;
  let bytes = 0;
  for (const [key, values] of Object.entries(metadata.toHttp2Headers())) {
    for (const value of Array.isArray(values) ? values : [values]) {
      count++;
      bytes += key.length + String(value ?? '').length;
    }
  }
  if (count > METADATA_ENTRY_COUNT_MAX) throw beyond('metadata_entries', count, METADATA_ENTRY_COUNT_MAX);
  if (bytes > METADATA_BYTES_MAX) throw beyond('metadata_bytes', bytes, METADATA_BYTES_MAX);
  const clientId = text(metadata, CLIENT_ID_KEY);
  if (clientId.length > CLIENT_ID_BYTES_MAX) {
    throw new PartitaError(
      'INVALID_REQUEST',
      `${CLIENT_ID_KEY} is longer than ${CLIENT_ID_BYTES_MAX} bytes: shorten it`,
      {
        field: CLIENT_ID_KEY,
        range: `0..${CLIENT_ID_BYTES_MAX}`,
      },
    );
  }
  return clientId;
}

function beyond(limit: string, value: number, max: number): PartitaError {
  const message = `the call's metadata is beyond ${limit} ${max}: it has ${value}; send less metadata`;
  return new PartitaError('LIMIT_EXCEEDED', message, { limit, value: String(max) });
}

/** Text metadata is ASCII on the wire, so its characters are its bytes. */
function text(metadata: Metadata, key: string): string {
  const value = metadata.get(key)[0];
  return typeof value === 'string' ? value : '';
}
