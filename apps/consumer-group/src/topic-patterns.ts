/**
 * Subscriptions by pattern: which topics' names a regular expression matches as a whole. RE2 takes time linear in the
 * name, whatever a caller sends. Patterns are compiled once, and their topics are looked for again only when topics came
 * or went.
 */
import type { RouteCache } from '@partita/client';
import { isInternalTopic } from '@partita/domain';
import { RE2JS } from 're2js';
import { invalid } from './consume-initial.ts';

/** Longest pattern; its program grows with it. */
const PATTERN_CHARS_MAX = 1024;
/** Patterns remembered; the one that was not asked for longest is forgotten. */
const PATTERN_COUNT_MAX = 1000;

interface KnownPattern {
  readonly expression: RE2JS;
  /** Undefined = to be looked for. */
  topics: readonly string[] | undefined;
}

export class TopicPatterns {
  readonly #routes: Pick<RouteCache, 'table' | 'onChange'>;
  readonly #known = new Map<string, KnownPattern>();
  #names: readonly string[] = [];
  readonly #stop: () => void;

  constructor(routes: Pick<RouteCache, 'table' | 'onChange'>) {
    this.#routes = routes;
    this.#stop = routes.onChange(() => this.#onRoutes());
    this.#onRoutes();
  }

  /** Names in their order; none for a pattern that cannot be compiled, which `checkPattern` refuses at the door. */
  matching(pattern: string): readonly string[] {
    const known = this.#known.get(pattern) ?? compiled(pattern);
    if (known === undefined) return [];
    this.#known.delete(pattern);
    this.#known.set(pattern, known);
    const [oldest] = this.#known.keys();
    if (this.#known.size > PATTERN_COUNT_MAX && oldest !== undefined) this.#known.delete(oldest);
    known.topics ??= this.#names.filter((name) => known.expression.matcher(name).matches());
    return known.topics;
  }

  close(): void {
    this.#stop();
  }

  /** Most changes of routes are new leaders. */
  #onRoutes(): void {
    const names = [...this.#routes.table.topics()].map(({ topic }) => topic).filter((name) => !isInternalTopic(name));
    names.sort();
    if (names.length === this.#names.length && names.every((name, index) => name === this.#names[index])) return;
    this.#names = names;
    for (const known of this.#known.values()) known.topics = undefined;
  }
}

/** Throws INVALID_REQUEST for what is no regular expression. Empty = none. */
export function checkPattern(pattern: string): string {
  if (pattern.length > PATTERN_CHARS_MAX)
    throw invalid(
      'subscription.topic_pattern',
      `${pattern.length} characters`,
      `at most ${PATTERN_CHARS_MAX} characters`,
    );
  if (pattern !== '' && compiled(pattern) === undefined)
    throw invalid('subscription.topic_pattern', pattern, 'a regular expression in RE2 syntax');
  return pattern;
}

function compiled(pattern: string): KnownPattern | undefined {
  try {
    return { expression: RE2JS.compile(pattern), topics: undefined };
  } catch {
    return undefined;
  }
}
