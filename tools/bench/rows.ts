/** The rows of the bench: a load on Partita, and beside it the raw load with the same hops. */

export interface Row {
  /** For --rows. */
  readonly name: string;
  readonly title: string;
  /** Load of ours (loads/partita-loads.ts) and of the raw chain (loads/raw-loads.ts). */
  readonly ours: string;
  readonly raw: string;
  /** Topic of ours: a new one for each run, or one that was filled before. */
  readonly topic: 'new' | 'filled';
  /** What `raw` does in place of ours. */
  readonly hops: string;
}

export const ROWS: readonly Row[] = [
  {
    name: 'produce-batches',
    title: 'produce, ready batches',
    ours: 'produce-batches',
    raw: 'push',
    topic: 'new',
    hops: 'client → gateway → broker',
  },
  {
    name: 'produce-records',
    title: 'produce, plain records',
    ours: 'produce-records',
    raw: 'push',
    topic: 'new',
    hops: 'client → gateway → broker',
  },
  {
    name: 'consume-group',
    title: 'consume as a group member, decoded records',
    ours: 'consume-group',
    raw: 'pull',
    topic: 'filled',
    hops: 'broker → consumer-group → client',
  },
  {
    name: 'fetch-direct',
    title: 'read from the brokers, batches',
    ours: 'fetch-direct',
    raw: 'pull-direct',
    topic: 'filled',
    hops: 'broker → client',
  },
  {
    name: 'unary',
    title: 'single records, unary calls',
    ours: 'unary',
    raw: 'call',
    topic: 'new',
    hops: 'client → gateway → broker',
  },
];
