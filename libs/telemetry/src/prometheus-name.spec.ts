import { describe, expect, it } from 'vitest';
import { INSTRUMENTS } from './instrument-table.ts';
import { prometheusLabel, prometheusName } from './prometheus-name.ts';

describe('names in Prometheus', () => {
  it.each([
    ['partita.broker.append.duration', 'partita_broker_append_duration_seconds'],
    ['partita.broker.append.records', 'partita_broker_append_records_total'],
    ['partita.broker.append.bytes', 'partita_broker_append_bytes_total'],
    ['partita.broker.queue.bytes', 'partita_broker_queue_bytes'],
    ['partita.broker.data.free', 'partita_broker_data_free_bytes'],
    ['partita.partition.log_end', 'partita_partition_log_end'],
    ['partita.build.info', 'partita_build_info'],
    ['partita.group.lag.age', 'partita_group_lag_age_seconds'],
    ['nodejs.eventloop.utilization', 'nodejs_eventloop_utilization_ratio'],
    ['process.cpu.time', 'process_cpu_time_seconds_total'],
    ['process.unix.file_descriptor.count', 'process_unix_file_descriptor_count'],
  ] as const)('calls %s %s', (name, expected) => {
    expect(prometheusName(name, INSTRUMENTS[name])).toBe(expected);
  });

  it('are all valid, and no two of the table are the same', () => {
    const names = Object.entries(INSTRUMENTS).map(([name, row]) => prometheusName(name, row));
    for (const name of names) expect(name).toMatch(/^[a-z][a-z0-9]*(_[a-z0-9]+)*$/);
    expect(new Set(names).size).toBe(names.length);
  });

  it('have labels without dots', () => {
    expect(prometheusLabel('v8js.gc.type')).toBe('v8js_gc_type');
  });
});
