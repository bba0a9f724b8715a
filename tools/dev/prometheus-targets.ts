/**
 * `<home>/prometheus-targets.json`: the endpoints of all services, as Prometheus' file_sd_configs read them. There while the
 * cluster is ready; written beside and renamed into place, because Prometheus watches it.
 */
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PlannedService } from './services.ts';

function targetsPath(home: string): string {
  return join(home, 'prometheus-targets.json');
}

/** Writes nothing when no service has an endpoint. */
export function writePrometheusTargets(home: string, services: readonly PlannedService[]): void {
  const groups = services.flatMap(({ name, service, metricsAddress }) =>
    metricsAddress === undefined ? [] : [{ targets: [metricsAddress], labels: { service, instance: name } }],
  );
  if (groups.length === 0) return;
  const path = targetsPath(home);
  writeFileSync(`${path}.new`, `${JSON.stringify(groups, null, 2)}\n`);
  renameSync(`${path}.new`, path);
}

export function removePrometheusTargets(home: string): void {
  rmSync(targetsPath(home), { force: true });
}
