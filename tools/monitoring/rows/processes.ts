/** Every process: calls, event loop, memory, descriptors. The console's own numbers close the row. */
import { quantile, ratePerSecond, series } from '../panel.ts';
import type { Row } from '../panel.ts';

const CHOSEN = 'instance=~"$instance"';
const WHO = '{{service}} {{instance}}';

export const PROCESSES: Row = {
  title: 'Processes',
  collapsed: true,
  panels: [
    {
      title: 'CPU time',
      about: 'Cores in use. JavaScript runs on one core; fsync, compression and collection use others.',
      unit: 'percentunit',
      queries: [{ expr: ratePerSecond('process_cpu_time_seconds_total', 'service, instance', CHOSEN), legend: WHO }],
    },
    {
      title: 'Event-loop delay, p99',
      about:
        'How long what is ready has to wait, by scrape and over time. Above 100 ms leases and sessions are at risk.',
      unit: 's',
      queries: [
        { expr: series('nodejs_eventloop_delay_p99_seconds', CHOSEN), legend: WHO },
        {
          expr: quantile(0.99, 'partita_eventloop_delay_seconds', 'service, instance', CHOSEN),
          legend: `over time ${WHO}`,
        },
      ],
    },
    {
      title: 'Event-loop utilization',
      about: 'Share of the time in which the event loop had work. Near 1: the process is at its limit.',
      unit: 'percentunit',
      queries: [{ expr: series('nodejs_eventloop_utilization_ratio', CHOSEN), legend: WHO }],
    },
    {
      title: 'Event-loop delay, longest',
      about: 'The longest delay since the scrape before.',
      unit: 's',
      queries: [
        { expr: series('nodejs_eventloop_delay_max_seconds', CHOSEN), legend: `max ${WHO}` },
        { expr: series('nodejs_eventloop_delay_p50_seconds', CHOSEN), legend: `p50 ${WHO}` },
      ],
    },
    {
      title: 'Garbage collection',
      about: 'Share of the time in collections, by kind.',
      unit: 'percentunit',
      queries: [
        {
          expr: ratePerSecond('v8js_gc_duration_seconds_sum', 'service, instance, v8js_gc_type', CHOSEN),
          legend: `{{v8js_gc_type}} ${WHO}`,
        },
      ],
    },
    {
      title: 'Heap',
      about: 'Used by JavaScript objects, as a share of the limit at which the process ends.',
      unit: 'percentunit',
      queries: [
        {
          expr: `${sumOfHeap('v8js_memory_heap_used_bytes')} / ${maxOfHeap('v8js_memory_heap_limit_bytes')}`,
          legend: WHO,
        },
      ],
    },
    {
      title: 'Resident memory',
      about: 'Heap, buffers and the code itself.',
      unit: 'bytes',
      queries: [{ expr: series('process_memory_usage_bytes', CHOSEN), legend: WHO }],
    },
    {
      title: 'Open descriptors',
      about: 'Files and connections. A broker holds some per partition.',
      unit: 'short',
      queries: [{ expr: series('process_unix_file_descriptor_count', CHOSEN), legend: WHO }],
    },
    {
      title: 'Uptime',
      about: 'Back to zero: the process was restarted.',
      unit: 's',
      queries: [{ expr: series('process_uptime_seconds', CHOSEN), legend: WHO }],
    },
    {
      title: 'Calls by status',
      about: 'Unary calls that servers answered.',
      unit: 'rps',
      queries: [
        {
          expr: ratePerSecond('partita_rpc_server_duration_seconds_count', 'service, code', CHOSEN),
          legend: '{{service}} {{code}}',
        },
      ],
    },
    {
      title: 'Time of calls, p99',
      about: 'Unary calls by method.',
      unit: 's',
      queries: [
        { expr: quantile(0.99, 'partita_rpc_server_duration_seconds', 'method', CHOSEN), legend: '{{method}}' },
      ],
    },
    {
      title: 'Streams and calls under way',
      about: 'Streams open now by method, and unary calls under way.',
      unit: 'short',
      queries: [
        { expr: `sum by (method) (${series('partita_rpc_server_streams', CHOSEN)})`, legend: '{{method}}' },
        { expr: `sum by (service) (${series('partita_rpc_server_calls', CHOSEN)})`, legend: 'calls {{service}}' },
      ],
    },
    {
      title: 'Spans taken by the console',
      about: 'Spans that the console kept or had no room for.',
      unit: 'cps',
      queries: [{ expr: ratePerSecond('partita_console_spans_total', 'outcome'), legend: '{{outcome}}' }],
    },
    {
      title: 'Traces kept by the console',
      about: 'The oldest go first.',
      unit: 'short',
      queries: [{ expr: series('partita_console_traces'), legend: '{{instance}}' }],
    },
    {
      title: 'Versions',
      about: 'Processes by service and version: more than one version only during an upgrade.',
      unit: 'short',
      queries: [
        { expr: `count by (service, version) (${series('partita_build_info')})`, legend: '{{service}} {{version}}' },
      ],
    },
  ],
};

/** The limit is the process's, the used bytes may come by heap space: both are brought to one number a process. */
function sumOfHeap(name: string): string {
  return `sum by (service, instance) (${series(name, CHOSEN)})`;
}

function maxOfHeap(name: string): string {
  return `max by (service, instance) (${series(name, CHOSEN)})`;
}
