import { join } from 'node:path';
import { METRIC_SERIES_COUNT_MAX } from '@partita/domain';
import { INSTRUMENTS } from '@partita/telemetry';
import { expect, it } from 'vitest';
import { ROOT } from './files.ts';
import { metricsPage } from './metrics-page.ts';

it('the reference of metrics names every instrument once', () => {
  const page = metricsPage();
  for (const name of Object.keys(INSTRUMENTS)) expect(page.split(`<br>\`${name}\` |`), name).toHaveLength(2);
  expect(page).toContain(`at most ${METRIC_SERIES_COUNT_MAX.toLocaleString('en')} series`);
});

it('the reference of metrics lies in docs/metrics.md; `vitest run tools/monitoring -u` writes it anew', async () => {
  await expect(metricsPage()).toMatchFileSnapshot(join(ROOT, 'docs/metrics.md'));
});
