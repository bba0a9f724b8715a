/** Guards of producer sessions and of requests with an id, each taken away by itself (mutants.ts). */
import type { Mutant } from './mutants.ts';

const FOLLOWER = 'libs/replication/src/follower.ts';
const FOLLOWING = 'libs/replication/src/following.ts';
const COMMITMENT = 'libs/replication/src/commitment.ts';
const SEQUENCE = 'libs/replication/src/sequence-rules.ts';

export const SESSION_MUTANTS: readonly Mutant[] = [
  {
    name: 'dedupe is not rolled back when the log is cut',
    file: FOLLOWING,
    from: 'const producers = new ProducerTable(facts.producers);',
    to: 'const { producers } = state;',
    seed: 15,
  },
  {
    name: 'a duplicate is acknowledged before the high watermark has passed its original',
    file: COMMITMENT,
    from: '  unanswered.splice(after + 1, 0, entry);\n  return answerStored(state, role);',
    to: '  return [{ kind: "answer-append", reply: entry.reply!, outcome: acked(state, role, entry) }];',
    seed: 20,
  },
  {
    name: 'a gap in a sequence is accepted',
    file: SEQUENCE,
    from: 'if (firstSequence === expected) return NEXT;',
    to: 'if (firstSequence >= expected) return NEXT;',
    seed: 8,
  },
  {
    name: 'a repeated batch is appended again',
    file: SEQUENCE,
    from: "return original === undefined ? unknownProducer(producerId) : { kind: 'duplicate', original };",
    to: 'return NEXT;',
    seed: 1,
  },
  {
    name: 'an unknown session begins anywhere',
    file: SEQUENCE,
    from: 'if (firstSequence !== 0n) return unknownProducer(producerId);',
    to: '',
    seed: 8,
  },
  {
    name: 'an older producer epoch is not fenced',
    file: SEQUENCE,
    from: 'if (producerEpoch < known.producerEpoch) {',
    to: 'if (producerEpoch < 0) {',
    seed: 88,
  },
  {
    name: 'a follower knows nothing of the sessions that it stores',
    file: FOLLOWER,
    from: 'if (producer !== undefined) state.producers.note(producer, baseOffset, appendTimeMs);',
    to: '',
    seed: 1,
  },
  {
    name: 'a request is remembered by its checksum, too',
    file: SEQUENCE,
    from: 'if (recordCount === known.recordCount)',
    to: 'if (recordCount === known.recordCount && sequence.recordsCrc < 2 ** 20)',
    seed: 14,
  },
  {
    name: 'a request is remembered by its id alone',
    file: SEQUENCE,
    from: 'if (recordCount === known.recordCount)',
    to: '',
    seed: 14,
  },
  {
    name: 'a table of requests with room for four evicts the oldest',
    file: SEQUENCE,
    from: 'const known = requests.find(producerId, nowMs);',
    to: 'const known = requests.entries(nowMs).slice(-4).find(({ requestId }) => requestId === producerId);',
    seed: 14,
  },
  {
    name: 'an old request that is forgotten is taken for a new one',
    file: SEQUENCE,
    from: 'BigInt(REQUEST_EXPIRY_MS / 2)',
    to: 'BigInt(REQUEST_EXPIRY_MS * 8)',
    seed: 25,
  },
];
