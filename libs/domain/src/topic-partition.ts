/** A partition of a topic, named by the topic's id (a UUID; a topic made again under the same name has a new one). */
export interface TopicPartition {
  readonly topicId: string;
  readonly partition: number;
}

/** One string per partition, for maps and logs: `<topic id>/<partition>`. */
export function partitionKey(tp: TopicPartition): string {
  return `${tp.topicId}/${tp.partition}`;
}

const TOPIC_NAME = /^[A-Za-z0-9._-]{1,249}$/;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Why `name` cannot be a topic's name, or undefined when it can. Names that begin with `__` are Partita's own. */
export function topicNameFault(name: string): string | undefined {
  if (!TOPIC_NAME.test(name)) return 'a topic name is 1 to 249 characters of A-Z a-z 0-9 . _ -';
  if (name === '.' || name === '..') return `"${name}" is no topic name`;
  return undefined;
}

/** True for the topics that Partita keeps for itself (`__groups`). Clients may read them, never write them. */
export function isInternalTopic(name: string): boolean {
  return name.startsWith('__');
}

/** True for a lower-case UUID, the only form an id has on disk and on the wire. */
export function isUuid(text: string): boolean {
  return UUID.test(text);
}
