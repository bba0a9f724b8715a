import { beforeEach, describe } from 'vitest';
import { auditConformance } from './audit.conformance.ts';
import { settingsConformance } from './settings.conformance.ts';
import { MemoryDirectory } from './memory-directory.ts';
import { createMemoryMetadataStore } from './memory-metadata-store.ts';
import { storeConformance } from './store.conformance.ts';
import type { StoreHarness } from './store.conformance.ts';

describe('the metadata store in memory', () => {
  const directory = new MemoryDirectory();
  const clock = { wallMs: () => Date.now(), monotonicMs: () => performance.now() };
  const harness = (): StoreHarness => ({
    open: (clusterId) => createMemoryMetadataStore({ clusterId, clock, directory }),
    wipe: async () => directory.wipe(),
    backUp: async () => {
      const backup = directory.backUp();
      return async () => directory.restore(backup);
    },
  });
  storeConformance(harness);
  describe('with settings of the cluster', () => settingsConformance(harness));
  describe('with an empty directory', () => {
    beforeEach(() => directory.wipe());
    auditConformance(harness);
  });
});
