/** Network addresses as `host:port`, with an IPv6 host in brackets: `127.0.0.1:7201`, `broker-1:7201`, `[::1]:0`. */
import { isIPv4, isIPv6 } from 'node:net';
import { PartitaError } from '@partita/domain';

/** A host (name, IPv4, or IPv6 without brackets) and a port, 0 to 65535; port 0 asks the system for a free one. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

const BRACKETED = /^\[([^\]]*)\]:(\d{1,5})$/;
const PLAIN = /^([^:[\]]*):(\d{1,5})$/;
const HOST_NAME =
  /^(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\.?$/;
const DIGITS_AND_DOTS = /^[\d.]+$/;
const PORT_MAX = 65_535;

/** Takes `host:port` apart. Throws INVALID_SETTING, saying which half is wrong. */
export function parseAddress(text: string): Address {
  const fault = (why: string) => new PartitaError('INVALID_SETTING', `"${text}" ${why}`, { value: text });
  if (isIPv6(text)) throw fault('has no port or no brackets: write an IPv6 address as [::1]:7201');
  const bracketed = BRACKETED.exec(text);
  const match = bracketed ?? PLAIN.exec(text);
  if (match === null) throw fault('is no address: write host:port, for example 127.0.0.1:7201 or [::1]:0');
  const [, host = '', portText = ''] = match;
  const port = Number(portText);
  if (port > PORT_MAX) throw fault(`has a port above ${PORT_MAX}`);
  if (bracketed !== null && !isIPv6(host)) throw fault('has something else than an IPv6 address in its brackets');
  if (bracketed === null && !isHost(host))
    throw fault(`has no valid host: "${host}" is neither a name nor an IPv4 address`);
  return { host, port };
}

/** The one spelling of an address; brackets around IPv6. */
export function formatAddress(address: Address): string {
  return `${isIPv6(address.host) ? `[${address.host}]` : address.host}:${address.port}`;
}

/** True when only this machine can reach the host: `localhost`, 127.0.0.0/8, ::1. */
export function isLoopbackHost(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}

/**
 * Why a listener without TLS may not use `address`, or undefined when it may: beyond loopback everybody on the network
 * reads and writes, so the operator has to say `--insecure`.
 */
export function plaintextListenFault(option: string, address: Address, insecure: boolean): string | undefined {
  if (insecure || isLoopbackHost(address.host)) return undefined;
  return (
    `--${option} ${formatAddress(address)} is reachable from other machines without TLS: ` +
    'listen on 127.0.0.1 or [::1], or add --insecure if the network is trusted'
  );
}

function isHost(host: string): boolean {
  return DIGITS_AND_DOTS.test(host) ? isIPv4(host) : HOST_NAME.test(host);
}
