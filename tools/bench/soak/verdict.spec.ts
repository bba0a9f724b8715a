import { describe, expect, it } from 'vitest';
import { courseOf } from './samples.ts';
import type { ServiceSample, SoakSample } from './samples.ts';
import { verdictsOf } from './verdict.ts';

const MIB = 1024 * 1024;
const STEP_MS = 10_000;

function samplesOf(count: number, service: (index: number) => Partial<ServiceSample>): SoakSample[] {
  const flat = { residentBytes: 200 * MIB, heapBytes: 50 * MIB, descriptorCount: 100, loopDelayMs: 12 };
  return Array.from({ length: count }, (_, index) => {
    const turns = { turnCount: 1000 + index * 500, lateTurnCount: 900 };
    return {
      atMs: index * STEP_MS,
      lagRecords: 0,
      services: { gateway: { ...flat, ...turns }, 'broker-1': { ...flat, ...turns, ...service(index) } },
    };
  });
}

function faultsOf(service: (index: number) => Partial<ServiceSample>): readonly string[] {
  const [gateway, broker] = verdictsOf(samplesOf(100, service));
  expect(gateway?.faults).toEqual([]);
  return broker?.faults ?? ['no verdict'];
}

describe('the verdict on a soak', () => {
  it('is good when nothing grows after the start, whatever the collector does', () => {
    expect(faultsOf((index) => ({ residentBytes: index < 15 ? index * MIB : (200 + (index % 7)) * MIB }))).toEqual([]);
    // Late turns of the start do not count; of the 49,500 turns after it one in a hundred may be late.
    expect(faultsOf((index) => ({ lateTurnCount: 900 + index * 5 }))).toEqual([]);
  });

  it('names what grows or is late', () => {
    expect(faultsOf((index) => ({ residentBytes: (200 + index) * MIB }))).toEqual(['memory grew']);
    expect(faultsOf((index) => ({ descriptorCount: 100 + index }))).toEqual(['descriptors grew']);
    const late = (index: number): Partial<ServiceSample> => ({ lateTurnCount: 900 + index * 5 + (index > 50 ? 1 : 0) });
    expect(faultsOf(late)).toEqual(['event loop above 50 ms']);
    expect(faultsOf((index) => ({ turnCount: (index < 30 ? 0 : -15_000) + index * 500 }))).toEqual([
      'the process began again',
    ]);
  });

  it('tells how fast something grows', () => {
    const points = Array.from({ length: 60 }, (_, index) => ({ atMs: index * STEP_MS, value: 1000 + index }));
    expect(courseOf(points)).toMatchObject({ early: 1017.5, late: 1053.5 });
    expect(courseOf(points).slopePerHour).toBeCloseTo(360, 6);
  });

  it('is refused when there is next to nothing to judge', () => {
    expect(() => verdictsOf(samplesOf(9, () => ({})))).toThrow('9 samples tell nothing');
  });
});
