/** `<home>/cluster.json`: there while the cluster is ready. Written beside and renamed into place, removed at a clean stop. */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface ReadyFile {
  /** Public addresses, `host:port`. */
  readonly gateway: string;
  /** All instances, the one above first; so with `consumerGroups`. */
  readonly gateways: readonly string[];
  readonly consumerGroup: string;
  readonly consumerGroups: readonly string[];
  readonly coordinators: readonly string[];
  /** Where the coordinators listen for brokers and the other services. */
  readonly coordinatorPeers: readonly string[];
  readonly brokers: readonly {
    readonly id: number;
    readonly address: string;
    readonly peerAddress: string;
    readonly pid: number;
    readonly dataDir: string;
  }[];
  /** Of the console that keeps traces; absent = none runs. */
  readonly traces?: string;
  /** Where Prometheus gets /metrics, by service: `broker-1`; absent = nowhere. */
  readonly metrics?: Readonly<Record<string, string>>;
  /** `redis://…`, or `embedded`. */
  readonly redis: string;
  readonly pids: {
    readonly coordinator: readonly number[];
    readonly broker: readonly number[];
    readonly gateway: readonly number[];
    readonly consumerGroup: readonly number[];
    readonly redis: readonly number[];
    readonly console?: readonly number[];
  };
}

export function readyFilePath(home: string): string {
  return join(home, 'cluster.json');
}

export function writeReadyFile(home: string, content: ReadyFile): void {
  const path = readyFilePath(home);
  writeFileSync(`${path}.new`, `${JSON.stringify(content, null, 2)}\n`);
  renameSync(`${path}.new`, path);
}

export function removeReadyFile(home: string): void {
  rmSync(readyFilePath(home), { force: true });
}

/** Throws when there is none, or when it cannot be read. */
export function readReadyFile(home: string): ReadyFile {
  return JSON.parse(readFileSync(readyFilePath(home), 'utf8')) as ReadyFile;
}
