/** What a process measures of itself, by OpenTelemetry's names for Node.js, V8 and processes where it has one. */
import { readdirSync } from 'node:fs';
import { constants, createHistogram, performance, PerformanceObserver } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';
import type { HistogramSeries, Metrics } from '@partita/telemetry';

/** A timer that is due this often shows how late the event loop is. */
const RESOLUTION_MS = 20;
/** Collections closer than this get the same numbers: there is too little between them. */
const WINDOW_MS_MIN = 500;
const US_PER_MS = 1000;
const US_PER_S = 1e6;

/** Begins to measure; returns how to stop. */
export function measureRunTime(metrics: Metrics): () => void {
  const stops = [measureEventLoop(metrics), measureGarbageCollection(metrics), observeProcess(metrics)];
  return () => {
    for (const stop of stops) stop();
  };
}

function measureEventLoop(metrics: Metrics): () => void {
  const all = metrics.histogram('partita.eventloop.delay').of();
  // Microseconds, and one more: it takes nothing below 1.
  const delays = createHistogram();
  let turnMs = performance.now();
  const timer = setInterval(() => {
    const nowMs = performance.now();
    const lateMs = Math.max(0, nowMs - turnMs - RESOLUTION_MS);
    turnMs = nowMs;
    all.record(lateMs / 1000);
    delays.record(1 + Math.round(lateMs * US_PER_MS));
  }, RESOLUTION_MS);
  timer.unref();
  const seconds = (recorded: number): number => Math.max(0, recorded - 1) / US_PER_S;
  let before = performance.eventLoopUtilization();
  let beforeMs = performance.now();
  let last = { p50: 0, p99: 0, max: 0, utilization: 0 };
  const current = (): typeof last => {
    // All that one collection asks for comes from one window.
    if (performance.now() - beforeMs < WINDOW_MS_MIN) return last;
    const now = performance.eventLoopUtilization();
    last = {
      p50: seconds(delays.percentile(50)),
      p99: seconds(delays.percentile(99)),
      max: seconds(delays.max),
      utilization: performance.eventLoopUtilization(now, before).utilization,
    };
    delays.reset();
    before = now;
    beforeMs = performance.now();
    return last;
  };
  const stops = [
    metrics.observe('nodejs.eventloop.delay.p50', (report) => report(current().p50)),
    metrics.observe('nodejs.eventloop.delay.p99', (report) => report(current().p99)),
    metrics.observe('nodejs.eventloop.delay.max', (report) => report(current().max)),
    metrics.observe('nodejs.eventloop.utilization', (report) => report(current().utilization)),
  ];
  return () => {
    clearInterval(timer);
    for (const stop of stops) stop();
  };
}

function measureGarbageCollection(metrics: Metrics): () => void {
  const pauses = metrics.histogram('v8js.gc.duration');
  const series = new Map<unknown, HistogramSeries>([
    [constants.NODE_PERFORMANCE_GC_MAJOR, pauses.of({ 'v8js.gc.type': 'major' })],
    [constants.NODE_PERFORMANCE_GC_MINOR, pauses.of({ 'v8js.gc.type': 'minor' })],
    [constants.NODE_PERFORMANCE_GC_INCREMENTAL, pauses.of({ 'v8js.gc.type': 'incremental' })],
    [constants.NODE_PERFORMANCE_GC_WEAKCB, pauses.of({ 'v8js.gc.type': 'weakcb' })],
  ]);
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      const { detail } = entry as unknown as { readonly detail?: { readonly kind?: unknown } };
      series.get(detail?.kind)?.record(entry.duration / 1000);
    }
  });
  observer.observe({ entryTypes: ['gc'] });
  return () => observer.disconnect();
}

function observeProcess(metrics: Metrics): () => void {
  const stops = [
    metrics.observe('v8js.memory.heap.used', (report) => report(getHeapStatistics().used_heap_size)),
    metrics.observe('v8js.memory.heap.limit', (report) => report(getHeapStatistics().heap_size_limit)),
    metrics.observe('process.cpu.time', (report) => {
      const { user, system } = process.cpuUsage();
      report(user / US_PER_S, { 'cpu.mode': 'user' });
      report(system / US_PER_S, { 'cpu.mode': 'system' });
    }),
    metrics.observe('process.memory.usage', (report) => report(process.memoryUsage.rss())),
    metrics.observe('process.unix.file_descriptor.count', (report) => {
      const count = openFiles();
      if (count !== undefined) report(count);
    }),
    metrics.observe('process.uptime', (report) => report(process.uptime())),
  ];
  return () => {
    for (const stop of stops) stop();
  };
}

function openFiles(): number | undefined {
  try {
    // Without the one that reads the folder.
    return readdirSync('/proc/self/fd').length - 1;
  } catch {
    return undefined;
  }
}
