/** What the process of the proxies is told, and what it answers. */

/** Said once, when it listens: where, by the name of the service behind. */
export interface ProxyAddresses {
  readonly addresses: Readonly<Record<string, string>>;
}

/** Each is answered by a message, once it holds. */
export type ProxyOrder =
  /** The cluster's home, which tells the ports of the services. */
  | { readonly kind: 'home'; readonly home: string }
  /** Delay one way, milliseconds. */
  | { readonly kind: 'delay'; readonly delayMs: number };
