/** What a check of a history found: each anomaly by its name, counted, with some examples in words. */

/**
 * inconsistent-offsets   an offset with two values
 * duplicate              a value at two offsets
 * lost-write             committed for sure, below what was read, and no ok poll returned it
 * unseen                 acknowledged, and no ok poll returned it by the end
 * aborted-read           read although its send failed
 * phantom                read although nobody had sent it
 * int-poll-skip          within one poll a step over a known value
 * int-nonmonotonic-poll  within one poll a step back, or a repeat
 * poll-skip              between two polls of a process a step over a known value
 * nonmonotonic-poll      between two polls of a process a step back, or a repeat
 * int-nonmonotonic-send  values of one send whose offsets do not grow
 * nonmonotonic-send      sends of a process to a key whose offsets do not grow
 * offset-regress         an offset given out at or below one that was known before the send began
 * key-order              records of a process and a record key whose order in the log is not that of their sends
 * session-order          records of a producer session in a key whose order in the log is not that of their sends
 * session-gap            stored, and an earlier record of its session and key is not, though it was not refused
 * request-doubled        a request with more than one copy in the log
 * request-answers        a request that was acknowledged at two places
 * request-lost           a request that was acknowledged, and nobody got it
 * hw-regress             a high watermark below one told before, or at or below an offset acknowledged or read before
 * commit-regress         an accepted commit below one that was accepted before it began
 * zombie-commit          accepted after the partition had gone to another member
 * double-owner           two members of a group had a partition in overlapping epochs
 * group-skip             a known record below a group's commit that no member was given
 * group-unseen           acknowledged at or above a group's commit, and no member was given it by the end
 * reset-surprise         a member began elsewhere than the group had committed, and was not told why
 */
export type AnomalyName =
  | 'inconsistent-offsets'
  | 'duplicate'
  | 'lost-write'
  | 'unseen'
  | 'aborted-read'
  | 'phantom'
  | 'int-poll-skip'
  | 'int-nonmonotonic-poll'
  | 'poll-skip'
  | 'nonmonotonic-poll'
  | 'int-nonmonotonic-send'
  | 'nonmonotonic-send'
  | 'offset-regress'
  | 'key-order'
  | 'session-order'
  | 'session-gap'
  | 'request-doubled'
  | 'request-answers'
  | 'request-lost'
  | 'hw-regress'
  | 'commit-regress'
  | 'zombie-commit'
  | 'double-owner'
  | 'group-skip'
  | 'group-unseen'
  | 'reset-surprise';

export interface Anomaly {
  /** Cases, each counted once however often it was seen. */
  readonly count: number;
  /** The first few, in words. */
  readonly examples: readonly string[];
}

export type Anomalies = Readonly<Partial<Record<AnomalyName, Anomaly>>>;

const EXAMPLE_COUNT_MAX = 5;
/** Cases of one name that are told apart; beyond, repeats count again. */
const CASE_COUNT_MAX = 100_000;

/** Collects the cases of a check. */
export class Findings {
  readonly #byName = new Map<AnomalyName, { count: number; examples: string[]; cases: Set<string> }>();

  /** `example` is the case: the same words are the same case. */
  add(name: AnomalyName, example: string): void {
    let found = this.#byName.get(name);
    if (found === undefined) this.#byName.set(name, (found = { count: 0, examples: [], cases: new Set() }));
    if (found.cases.has(example)) return;
    if (found.cases.size < CASE_COUNT_MAX) found.cases.add(example);
    found.count += 1;
    if (found.examples.length < EXAMPLE_COUNT_MAX) found.examples.push(example);
  }

  /** Names without a case are left out. */
  get anomalies(): Anomalies {
    const entries = [...this.#byName].map(([name, { count, examples }]) => [name, { count, examples }] as const);
    return Object.fromEntries(entries);
  }
}
