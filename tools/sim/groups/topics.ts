/** Topics that members read: they come, grow and go, and each owner hears of it a little later. */
import type { CatalogTopic, TopicCatalog } from '@partita/groups';
import type { SeededRandom } from '@partita/testkit';

/** Names of topics, and what members subscribe to besides. */
export const TOPIC_NAMES = ['a', 'b', 'c'] as const;
export const PATTERNS = ['', '', '[ab]', '.*'] as const;
const PARTITION_COUNT_MAX = 5;
const RACKS = ['east', 'west'] as const;

export interface Topic extends CatalogTopic {
  readonly name: string;
  /** High watermark of each partition. */
  readonly ends: number[];
}

export class Topics {
  readonly #byName = new Map<string, Topic>();
  readonly #byId = new Map<string, Topic>();
  readonly #patterns = new Map<string, RegExp>();
  #created = 0;
  /** Grows with each change. */
  version = 0;
  /** What the cluster has now. Each change makes another. */
  catalog: TopicCatalog = this.#view();

  create(name: string, partitionCount: number): void {
    if (this.#byName.has(name)) return;
    this.#created += 1;
    this.#put(name, `${name}${this.#created}`, Array<number>(partitionCount).fill(0));
  }

  /** True when it was there and is not the last. */
  delete(name: string): boolean {
    const topic = this.#byName.get(name);
    if (topic === undefined || this.#byName.size < 2) return false;
    this.#byName.delete(name);
    this.#byId.delete(topic.topicId);
    this.catalog = this.#view();
    return true;
  }

  grow(name: string): boolean {
    const topic = this.#byName.get(name);
    if (topic === undefined || topic.ends.length >= PARTITION_COUNT_MAX) return false;
    topic.ends.push(0);
    this.#put(name, topic.topicId, topic.ends);
    return true;
  }

  /** One more record somewhere. */
  produce(random: SeededRandom): void {
    const topic = random.pick([...this.#byName.values()]);
    const partition = random.below(topic.ends.length);
    topic.ends[partition] = (topic.ends[partition] ?? 0) + random.between(1, 3);
  }

  byId(topicId: string): Topic | undefined {
    return this.#byId.get(topicId);
  }

  /** Undefined when the topic is gone. */
  endOf(topicId: string, partition: number): number | undefined {
    return this.#byId.get(topicId)?.ends[partition];
  }

  #put(name: string, topicId: string, ends: number[]): void {
    const racksOf = (partition: number) => [RACKS[partition % RACKS.length] ?? ''];
    const topic: Topic = { topicId, partitionCount: ends.length, racksOf, name, ends };
    this.#byName.set(name, topic);
    this.#byId.set(topicId, topic);
    this.catalog = this.#view();
  }

  #view(): TopicCatalog {
    this.version += 1;
    const byName = new Map(this.#byName);
    const byId = new Set(this.#byId.keys());
    return {
      topic: (name) => byName.get(name),
      has: (topicId) => byId.has(topicId),
      matching: (pattern) => [...byName.keys()].filter((name) => this.#matches(pattern, name)),
    };
  }

  #matches(pattern: string, name: string): boolean {
    let expression = this.#patterns.get(pattern);
    if (expression === undefined) {
      expression = new RegExp(`^(?:${pattern})$`, 'u');
      this.#patterns.set(pattern, expression);
    }
    return expression.test(name);
  }
}
