/** Who a process is in traces and metrics: OpenTelemetry's resource attributes. */
import type { Environment } from './config-sources.ts';
import type { Logger } from './logger.ts';

export interface ProcessIdentity {
  /** Short name; traces show `partita-<service>` unless OTEL_SERVICE_NAME says otherwise. */
  readonly service: string;
  readonly version: string;
  readonly instance: string;
  /** The process's environment. The SDK reads its other OTEL_* variables from `process.env` itself. */
  readonly env: Environment;
  /** Where the SDK's own warnings go (a collector that is down), rate-limited. */
  readonly logger: Logger;
}

/** Own attributes, above them OTEL_RESOURCE_ATTRIBUTES (`key=value,...`, percent-encoded), above them OTEL_SERVICE_NAME. */
export function resourceAttributes(identity: ProcessIdentity): Record<string, string> {
  const attributes: Record<string, string> = {
    'service.name': `partita-${identity.service}`,
    'service.version': identity.version,
    'service.instance.id': identity.instance,
  };
  for (const pair of (identity.env['OTEL_RESOURCE_ATTRIBUTES'] ?? '').split(',')) {
    const equals = pair.indexOf('=');
    if (equals <= 0) continue;
    const value = pair.slice(equals + 1).trim();
    try {
      attributes[pair.slice(0, equals).trim()] = decodeURIComponent(value);
    } catch {
      identity.logger.warn(
        { attribute: pair },
        'ignoring an attribute of OTEL_RESOURCE_ATTRIBUTES that is not percent-encoded',
      );
    }
  }
  const serviceName = identity.env['OTEL_SERVICE_NAME'];
  if (serviceName) attributes['service.name'] = serviceName;
  return attributes;
}
