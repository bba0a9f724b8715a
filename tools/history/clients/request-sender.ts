/**
 * Requests with ids, each of one or two records, sent again through other gateways on purpose: while the first send is under
 * way, after its answer, after a doubt, and by the process that follows one that was killed. The first send is the SDK's, the
 * repeats are unary calls, as any client makes them: the id alone must tell.
 */
import { pause, SendError } from '@partita/client';
import type { PartitaClient, Producer } from '@partita/client';
import { PartitaError } from '@partita/domain';
import { isRetryable } from '@partita/rpc';
import { ChannelPool } from '@partita/rpc/client';
import { systemRandom } from '@partita/runtime';
import { keyOf, partitionOf, valuesOf } from '../history.ts';
import type { SendEvent } from '../history.ts';
import { readHistory } from '../recorder.ts';
import type { Site } from '../site.ts';
import type { RequesterPlan } from './client-plan.ts';
import { workSteadily } from './paced-work.ts';
import { outcomeOfSend, placeOf } from './send-outcome.ts';
import { produceOnce } from './unary-produce.ts';

const IN_FLIGHT_MAX = 10;
const DELIVERY_MS_MAX = 10_000;
/** Sends of one request, until one is acknowledged. */
const SEND_COUNT_MAX = 40;
const RETRY_MS = 400;
/** Every so many requests are sent twice at once, and every so many again after their answer. */
const AT_ONCE_EVERY = 4;
const AGAIN_EVERY = 3;
/** Requests of a predecessor that are sent again: those without an answer, and some of the others. */
const INHERITED_OPEN_COUNT_MAX = 100;
const INHERITED_DONE_COUNT_MAX = 10;

/** `again`: not acknowledged, and it may be by another send. */
type Answer = 'acked' | 'refused' | 'again';
type Told = Omit<SendEvent, 'op' | 'type' | 'tMonoMs'> & { readonly requestId: string };

/** Sends until it is told to stop, and until each request has its outcome. */
export async function sendRequests(site: Site, client: PartitaClient, plan: RequesterPlan): Promise<void> {
  const requester = new Requester(site, client, plan);
  const inherited = plan.predecessor === undefined ? [] : inheritedFrom(plan.predecessor);
  await Promise.all(inherited.map((told) => requester.repeatUntilAcked({ ...told, process: plan.process })));
  const pace = { intervalMs: plan.intervalMs, inFlightMax: IN_FLIGHT_MAX };
  await workSteadily(site, pace, (turn) => requester.request(turn));
  requester.close();
}

class Requester {
  readonly #site: Site;
  readonly #plan: RequesterPlan;
  readonly #producer: Producer;
  readonly #pool = new ChannelPool({ clientId: 'history' });
  #repeatCount = 0;
  #valueCount = 0;

  constructor(site: Site, client: PartitaClient, plan: RequesterPlan) {
    this.#site = site;
    this.#plan = plan;
    const options = { acks: 'all' as const, deliveryTimeoutMs: DELIVERY_MS_MAX, delivery: plan.delivery };
    this.#producer = client.producer(options);
  }

  close(): void {
    this.#pool.close();
  }

  /** Never rejects. */
  async request(turn: number): Promise<void> {
    const told = this.#newRequest(turn);
    const sends = [this.#sendBySdk(told), ...(turn % AT_ONCE_EVERY === 0 ? [this.#repeat(told)] : [])];
    const isAcked = (await Promise.all(sends)).includes('acked') || (await this.repeatUntilAcked(told));
    if (isAcked && turn % AGAIN_EVERY === 0) await this.#repeat(told);
  }

  /** False when it was refused for good, or never got an answer. */
  async repeatUntilAcked(told: Told): Promise<boolean> {
    for (let count = 0; count < SEND_COUNT_MAX; count += 1) {
      const answer = await this.#repeat(told);
      if (answer !== 'again') return answer === 'acked';
      await pause(RETRY_MS);
    }
    return false;
  }

  /** In turn with a partition that is named, one that the key chooses, and one that the id does. */
  #newRequest(turn: number): Told {
    const { process } = this.#plan;
    const partition = turn % this.#site.partitionCount;
    const values = Array.from({ length: 1 + (turn % 2) }, () => `r${process}-${this.#valueCount++}`);
    const told = { f: 'send' as const, process, requestId: systemRandom.uuid(), value: values };
    if (turn % 3 === 0) return { ...told, key: keyOf(this.#site.topic, partition) };
    return turn % 3 === 1 ? { ...told, recordKey: `r${process}-${partition}` } : told;
  }

  #sendBySdk(told: Told): Promise<Answer> {
    const { topic } = this.#site;
    const records = valuesOf(told).map((value) => ({ key: told.recordKey, value }));
    const options = { partition: partitionOf(topic, told.key), requestId: told.requestId };
    return this.#noted(told, async () => placeOf(topic, await this.#producer.send(topic, records, options)));
  }

  /** Through the next gateway. */
  #repeat(told: Told): Promise<Answer> {
    const { topic } = this.#site;
    const { gateways } = this.#plan;
    const gateway = gateways[this.#repeatCount++ % gateways.length] ?? '';
    const { requestId, recordKey: key } = told;
    const request = { topic, partition: partitionOf(topic, told.key), key, values: valuesOf(told), requestId };
    return this.#noted(told, () => produceOnce(this.#pool, gateway, request));
  }

  async #noted(told: Told, send: () => Promise<Partial<SendEvent>>): Promise<Answer> {
    const { recorder } = this.#site;
    const op = recorder.invoke(told);
    try {
      recorder.complete(op, 'ok', { ...told, ...(await send()) });
      return 'acked';
    } catch (error) {
      // Of one batch nothing is stored alone: what holds for the gravest holds for all.
      const gravest = error instanceof SendError ? error.results.find((result) => result instanceof Error) : error;
      recorder.complete(op, outcomeOfSend(gravest), { ...told, error: String(error) });
      return gravest instanceof PartitaError && !isRetryable(gravest) ? 'refused' : 'again';
    }
  }
}

/** What is to be sent again of those that a killed process had begun. */
function inheritedFrom(journal: string): Told[] {
  const [open, done] = [new Map<string, Told>(), new Map<string, Told>()];
  for (const event of readHistory(journal)) {
    if (event.f !== 'send' || event.requestId === undefined) continue;
    const { f, process, requestId, value, key, recordKey, type } = event;
    if (type === 'ok') {
      const told = open.get(requestId);
      if (told !== undefined) done.set(requestId, told);
      open.delete(requestId);
    } else if (type === 'invoke' && !done.has(requestId)) {
      const where = { ...(key === undefined ? {} : { key }), ...(recordKey === undefined ? {} : { recordKey }) };
      open.set(requestId, { f, process, requestId, value, ...where });
    }
  }
  return [
    ...[...open.values()].slice(-INHERITED_OPEN_COUNT_MAX),
    ...[...done.values()].slice(-INHERITED_DONE_COUNT_MAX),
  ];
}
