import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatAddress, isLoopbackHost, parseAddress, plaintextListenFault } from './address.ts';

describe('addresses', () => {
  it.each([
    ['127.0.0.1:7201', '127.0.0.1', 7201],
    ['broker-1.example.org:0', 'broker-1.example.org', 0],
    ['[::1]:0', '::1', 0],
    ['[fe80::1]:65535', 'fe80::1', 65_535],
  ])('reads and writes %s', (text, host, port) => {
    expect(parseAddress(text)).toEqual({ host, port });
    expect(formatAddress({ host, port })).toBe(text);
  });

  it.each([
    ['localhost', 'is no address: write host:port'],
    ['::1', 'has no port or no brackets: write an IPv6 address as [::1]:7201'],
    ['::1:7201', 'has no port or no brackets'],
    ['h:65536', 'has a port above 65535'],
    ['[h]:1', 'has something else than an IPv6 address in its brackets'],
    ['256.0.0.1:1', '"256.0.0.1" is neither a name nor an IPv4 address'],
    [':1', '"" is neither a name nor an IPv4 address'],
    ['a b:1', '"a b" is neither a name nor an IPv4 address'],
    ['http://h:1', 'is no address'],
  ])('refuses %j', (text, message) => expect(() => parseAddress(text)).toThrow(message));

  it('reads back every IP address it writes', () => {
    const host = fc.oneof(fc.ipV4(), fc.ipV6());
    fc.assert(
      fc.property(host, fc.nat(65_535), (name, port) => {
        expect(parseAddress(formatAddress({ host: name, port }))).toEqual({ host: name, port });
      }),
    );
  });

  it('knows which hosts stay on this machine, and asks for --insecure beyond', () => {
    expect(['localhost', '127.0.0.1', '127.9.9.9', '::1'].map(isLoopbackHost)).toEqual([true, true, true, true]);
    expect(['0.0.0.0', '::', '127.example.org', '10.0.0.1'].map(isLoopbackHost)).toEqual([false, false, false, false]);
    expect(plaintextListenFault('listen', { host: '0.0.0.0', port: 1 }, true)).toBeUndefined();
    expect(plaintextListenFault('listen', { host: '::1', port: 1 }, false)).toBeUndefined();
    expect(plaintextListenFault('listen', { host: '::', port: 1 }, false)).toMatch(
      /^--listen \[::\]:1 is reachable .* add --insecure/,
    );
  });
});
