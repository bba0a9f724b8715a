/** Bugs in what makes producing exactly once, for the checker of histories to find. */
import type { PlantedBug } from './planted-bugs.ts';

export interface PlantedProducerBug extends PlantedBug {
  /** Whose processes have it. */
  readonly where: 'cluster' | 'clients';
  /** What shows it as well, by which of its steps the history has met. */
  readonly orElse: readonly string[];
}

export const PLANTED_PRODUCER_BUGS: readonly PlantedProducerBug[] = [
  {
    name: 'the leader does not know a batch again',
    where: 'cluster',
    file: 'libs/replication/src/sequence-rules.ts',
    from: "return original === undefined ? unknownProducer(producerId) : { kind: 'duplicate', original };",
    to: 'return original === undefined ? unknownProducer(producerId) : NEXT;',
    anomaly: 'duplicate',
    orElse: ['key-order', 'session-order'],
  },
  {
    name: 'the leader does not know a request again',
    where: 'cluster',
    file: 'libs/replication/src/sequence-rules.ts',
    from: "if (recordCount === known.recordCount) return { kind: 'duplicate', original: known };",
    to: 'if (recordCount === known.recordCount) return NEXT;',
    anomaly: 'request-doubled',
    orElse: [],
  },
  {
    name: 'a client numbers a batch in doubt anew',
    where: 'clients',
    file: 'libs/client/src/producing/ordered-lane.ts',
    from: "if (outcomeOf(outcome) === 'unknown') entry.inDoubt = true;",
    to: `if (outcomeOf(outcome) === 'unknown')
        return this.#finish(entry, new PartitaError('OUT_OF_ORDER_SEQUENCE', 'as if it certainly were not stored'));`,
    anomaly: 'duplicate',
    orElse: ['key-order', 'session-order'],
  },
];
