/** What exporters read: the registry of the process, and who the process is. */
import type { Collected, MetricRegistry } from '@partita/telemetry';
import type { Period } from './metric-data.ts';

export class MetricsSource {
  readonly registry: MetricRegistry;
  /** OpenTelemetry's resource attributes. */
  readonly resource: Readonly<Record<string, string>>;
  readonly #fromMs: number;
  readonly #nowMs: () => number;

  constructor(registry: MetricRegistry, resource: Readonly<Record<string, string>>, nowMs: () => number) {
    this.registry = registry;
    this.resource = resource;
    this.#nowMs = nowMs;
    this.#fromMs = nowMs();
  }

  collect(): { readonly collected: readonly Collected[]; readonly period: Period } {
    const period = { fromMs: this.#fromMs, toMs: this.#nowMs() };
    return { collected: this.registry.collect(), period };
  }
}
