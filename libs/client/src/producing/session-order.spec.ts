/**
 * Sessions over lanes against a leader that judges sequences, in worlds where answers are lost, batches are refused, and
 * leaders change: what is stored is stored once and in the order of the sends, and no answer lies.
 */
import { BatchBuilder, CODEC_NONE } from '@partita/batch';
import { PartitaError } from '@partita/domain';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AppendJob, AppendOutcome, BatchSink } from './append-job.ts';
import { OrderedLane } from './ordered-lane.ts';
import { ProducerIds } from './producer-ids.ts';
import { ProducerSession } from './producer-session.ts';
import { mayPass } from './retried-errors.ts';
import { SpecLog } from '../testing/spec-log.ts';

type Luck =
  'store' | 'store and lose the answer' | 'lose' | 'refuse for now' | 'refuse for good' | 'forget the producer';

const LUCKS: readonly Luck[] = [
  'store and lose the answer',
  'lose',
  'refuse for now',
  'refuse for good',
  'forget the producer',
];

function befall(log: SpecLog, job: AppendJob, luck: Luck): AppendOutcome {
  if (luck === 'refuse for now') return new PartitaError('NOT_ENOUGH_REPLICAS', 'for now', {}, { retryAfterMs: 1 });
  if (luck === 'refuse for good') return new PartitaError('INVALID_BATCH', 'for good');
  if (luck === 'forget the producer') log.forgetProducers();
  if (luck === 'lose') return doubt();
  const outcome = log.append(job.recordBatches);
  return luck === 'store and lose the answer' ? doubt() : outcome;
}

function doubt(): PartitaError {
  return new PartitaError('OUTCOME_UNKNOWN', 'the stream broke');
}

/** Sends `count` batches of one or two records under one session; `lucks` befall the attempts in turn. */
async function world(lucks: readonly Luck[], delays: readonly number[], count: number) {
  const leader = new SpecLog();
  const told = new Map<string, AppendOutcome>();
  let attempts = 0;
  const lane: OrderedLane = new OrderedLane(
    {
      attempt: (job, _timeoutMs, done) => {
        const luck = lucks[attempts] ?? 'store';
        const delayMs = delays[attempts++ % Math.max(1, delays.length)] ?? 0;
        // The network keeps the order of one stream; only the answers take their time.
        const outcome = befall(leader, job, luck);
        setTimeout(() => done(outcome), delayMs);
      },
      mayPass,
      onFailure: () => {},
      onIdle: () => {},
    },
    true,
  );
  const sink: BatchSink = { append: (job) => lane.push(job) };
  let next = 0;
  const pump = (): void => {
    while (session.hasRoom && next < count) {
      const values = next % 3 === 0 ? [`${next}a`, `${next}b`] : [`${next}`];
      next += 1;
      const builder = new BatchBuilder();
      for (const value of values) builder.tryAdd({ value: Buffer.from(value), timestampMs: 1n });
      const job = {
        ...{ topicId: 'id', topic: 't', partition: 0, deadlineAtMs: performance.now() + 20_000 },
        recordBatches: builder.build({ codec: CODEC_NONE, ...session.stamp }),
        done: (outcome: AppendOutcome) => {
          for (const [index, value] of values.entries()) {
            expect(told.has(value), `${value} is told twice`).toBe(false);
            const place =
              outcome instanceof PartitaError
                ? outcome
                : { ...outcome, baseOffset: outcome.baseOffset + BigInt(index) };
            told.set(value, place);
          }
        },
      };
      session.send({ job, recordCount: values.length });
    }
  };
  const session = new ProducerSession({ sink, ids: new ProducerIds(), isOptional: false, onRoom: pump });
  pump();
  await expect.poll(() => session.underWayCount === 0 && next === count, { interval: 1, timeout: 20_000 }).toBe(true);
  return { leader, told };
}

describe('a producer session over a lane', () => {
  test('stores nothing twice, keeps the order, and tells the truth, whatever happens to its batches', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof({ weight: 3, arbitrary: fc.constant<Luck>('store') }, fc.constantFrom(...LUCKS)), {
          maxLength: 40,
        }),
        fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 7 }),
        fc.integer({ min: 1, max: 25 }),
        async (lucks, delays, count) => {
          const { leader, told } = await world(lucks, delays, count);
          const forgets = lucks.includes('forget the producer');
          if (!forgets) expect(new Set(leader.values).size).toBe(leader.values.length);
          const order = leader.values.map((value) => Number.parseInt(value, 10));
          if (!forgets) expect(order).toEqual([...order].sort((a, b) => a - b));
          for (const [value, outcome] of told) {
            if (!(outcome instanceof PartitaError)) expect(leader.values[Number(outcome.baseOffset)]).toBe(value);
            else if (outcome.reason !== 'OUTCOME_UNKNOWN') expect(leader.values).not.toContain(value);
          }
        },
      ),
      { numRuns: 100 },
    );
  });

  test('goes on under the next epoch behind a batch that is refused for good', async () => {
    const { leader, told } = await world(['store', 'refuse for good'], [0], 6);
    expect(leader.values).toEqual(['0a', '0b', '2', '3a', '3b', '4', '5']);
    expect(told.get('1')).toMatchObject({ reason: 'INVALID_BATCH' });
  });

  test('sends what is in doubt again, behind it everything that was refused for the gap', async () => {
    const { leader, told } = await world(['lose', 'store', 'store'], [0], 4);
    expect(leader.values).toEqual(['0a', '0b', '1', '2', '3a', '3b']);
    expect([...told.values()].every((outcome) => !(outcome instanceof PartitaError))).toBe(true);
  });
});
