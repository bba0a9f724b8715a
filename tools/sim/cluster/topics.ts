/**
 * What administrators did to topics and were told. An answer that did not come leaves open what is true; the next one that
 * comes settles it.
 */
import { PartitaError } from '@partita/domain';
import { Topic, TopicServiceService } from '@partita/protocol';
import { callUnary } from '@partita/rpc/client';
import type { ClientSide } from './client-side.ts';
import { COORDINATOR_PORT } from './nodes.ts';
import { uuidOf } from './virtual-time.ts';
import type { World } from './world.ts';

const CALL_MS = 5000;
const RETRY_MS = 300;
/** Extra topics that come and go, at most. */
const EXTRA_TOPIC_COUNT_MAX = 2;

type Life = 'creating' | 'active' | 'deleting' | 'deleted';

/** A topic as its administrator knows it. */
export interface KnownTopic {
  readonly name: string;
  readonly partitionCount: number;
  readonly replicationFactor: number;
  readonly minInSyncReplicas: number;
  topicId: string;
  life: Life;
  /** Id that the acknowledgement of its deletion named; absent = none came, only that nothing is called so. */
  deletedTopicId?: string | undefined;
  /** Ages of retention that it may have, in seconds: the acknowledged one, and those of which nothing was heard. */
  retentionSeconds: Set<number>;
  isBusy: boolean;
}

export class Topics {
  readonly #world: World;
  readonly #clients: ClientSide;
  readonly all: KnownTopic[] = [];
  #isStopped = false;
  #settingCount = 0;

  constructor(world: World, clients: ClientSide) {
    this.#world = world;
    this.#clients = clients;
  }

  /** Begins: makes the topics of the plan, then changes things now and then. */
  start(): void {
    for (let number = 1; number <= this.#world.plan.topicCount; number += 1) void this.#create(`topic-${number}`);
    this.#actLater();
  }

  /** No new changes; those under way are finished. */
  stop(): void {
    this.#isStopped = true;
  }

  get isIdle(): boolean {
    return this.all.every(({ isBusy }) => !isBusy);
  }

  active(): KnownTopic[] {
    return this.all.filter(({ life }) => life === 'active');
  }

  #actLater(): void {
    const { world } = this.#clients;
    world.time.after(world.random.below(2 * world.plan.adminEveryMs), () => {
      if (this.#isStopped) return;
      this.#act();
      this.#actLater();
    });
  }

  #act(): void {
    const { random } = this.#world;
    const free = this.active().filter(({ isBusy }) => !isBusy);
    const extras = this.all.filter(({ name, life }) => name.startsWith('extra') && life !== 'deleted');
    const pick = random.below(10);
    if (pick < 5 && free.length > 0) void this.#update(random.pick(free));
    else if (pick < 8 && extras.length < EXTRA_TOPIC_COUNT_MAX) void this.#create(`extra-${this.all.length}`);
    else if (extras.some((topic) => free.includes(topic))) {
      void this.#delete(random.pick(extras.filter((topic) => free.includes(topic))));
    }
  }

  async #create(name: string): Promise<void> {
    const { random, plan } = this.#world;
    const replicationFactor = random.pick([1, 2, 3, 3, 3]);
    const minInSyncReplicas = random.between(1, Math.min(replicationFactor, 2));
    const topic: KnownTopic = {
      name,
      partitionCount: random.pick([1, 1, 1, 2]),
      replicationFactor: Math.min(replicationFactor, plan.brokerCount),
      minInSyncReplicas,
      topicId: '',
      life: 'creating',
      retentionSeconds: new Set([this.#freshSeconds()]),
      isBusy: true,
    };
    this.all.push(topic);
    const [seconds = 0] = topic.retentionSeconds;
    const request = {
      topic: Topic.fromPartial({
        name,
        partitionCount: topic.partitionCount,
        replicationFactor: topic.replicationFactor,
        settings: { minInSyncReplicas, retentionAge: { seconds: BigInt(seconds), nanos: 0 } },
      }),
      requestId: uuidOf(random),
      validateOnly: false,
    };
    const answer = await this.#untilAnswered(`create ${name}`, (client) =>
      callUnary(client, TopicServiceService.createTopic, request, { deadlineMs: CALL_MS }),
    );
    topic.topicId = answer?.topic?.topicId ?? '';
    topic.life = 'active';
    topic.isBusy = false;
    this.#world.tally.add('topics created');
    this.#clients.onTopic(topic);
  }

  async #update(topic: KnownTopic): Promise<void> {
    topic.isBusy = true;
    const seconds = this.#freshSeconds();
    topic.retentionSeconds.add(seconds);
    const settings = { retentionAge: { seconds: BigInt(seconds), nanos: 0 } };
    const request = {
      topic: Topic.fromPartial({ name: topic.name, settings }),
      updateMask: ['settings.retention_age'],
      validateOnly: false,
      requestId: uuidOf(this.#world.random),
    };
    await this.#untilAnswered(`update ${topic.name}`, (client) =>
      callUnary(client, TopicServiceService.updateTopic, request, { deadlineMs: CALL_MS }),
    );
    topic.retentionSeconds = new Set([seconds]);
    topic.isBusy = false;
    this.#world.tally.add('topics updated');
  }

  async #delete(topic: KnownTopic): Promise<void> {
    topic.isBusy = true;
    topic.life = 'deleting';
    const request = { topic: topic.name, etag: '', requestId: uuidOf(this.#world.random) };
    const answer = await this.#untilAnswered(
      `delete ${topic.name}`,
      (client) => callUnary(client, TopicServiceService.deleteTopic, request, { deadlineMs: CALL_MS }),
      'TOPIC_NOT_FOUND',
    );
    topic.deletedTopicId = answer?.topic?.topicId;
    topic.life = 'deleted';
    topic.isBusy = false;
    this.#world.tally.add('topics deleted');
  }

  /** Repeats the call at one coordinator or another until it is answered; undefined = the reason says that it is done. */
  async #untilAnswered<Result>(
    what: string,
    call: (client: ReturnType<ClientSide['client']>) => Promise<Result>,
    doneReason?: string,
  ): Promise<Result | undefined> {
    const { time, random, trace, coordinators, tally } = this.#world;
    for (;;) {
      const { host } = random.pick(coordinators);
      try {
        const result = await call(this.#clients.client(`${host}:${COORDINATOR_PORT}`));
        trace.note(`${this.#world.now} told: ${what}`);
        return result;
      } catch (error) {
        if (!(error instanceof PartitaError)) throw error;
        trace.note(`${this.#world.now} ${what}: ${error.reason}`);
        if (error.reason === doneReason) return undefined;
        tally.add(`admin calls that failed: ${error.reason}`);
      }
      await time.sleep(random.below(2 * RETRY_MS));
    }
  }

  #freshSeconds(): number {
    this.#settingCount += 1;
    return 86_400 + this.#settingCount;
  }
}
