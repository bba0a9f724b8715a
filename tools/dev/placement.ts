/** Where a process of a cluster runs, when that is not plainly this machine: a network namespace, under another clock. */

export interface Placement {
  /** Address that it listens on and is known by. Beyond loopback it is the process's own: every port there is free. */
  readonly host: string;
  /** A command that runs Node as its last arguments, in its own process; empty = Node itself. */
  readonly wrap: readonly string[];
  /** Added to its environment. */
  readonly env: Readonly<Record<string, string>>;
}

/** By the name of the process: `broker-1`. */
export type Placer = (name: string) => Placement;

export const LOOPBACK = '127.0.0.1';

/** Everything on this machine's loopback. */
export const onLoopback: Placer = () => ({ host: LOOPBACK, wrap: [], env: {} });

/**
 * On loopback as well, with other addresses told to clients: what `--advertise gateway=host:port,broker-1=host:port` says.
 * Throws an Error when it cannot be read.
 */
export function placeAdvertised(text: string): Placer {
  const addresses = new Map<string, string>();
  for (const entry of text.split(',')) {
    const [name = '', address = ''] = entry.split('=');
    if (!/^(gateway|consumer-group|broker|coordinator)(-\d+)?$/.test(name) || address === '')
      throw new Error(`--advertise ${entry}: expected the name of a process and an address, gateway=127.0.0.1:9000`);
    addresses.set(name, address);
  }
  return (name) => {
    const address = addresses.get(name);
    return { ...onLoopback(name), env: address === undefined ? {} : { PARTITA_ADVERTISE: address } };
  };
}
