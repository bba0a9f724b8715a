import { describe, expect, it } from 'vitest';
import { kafkaProperties } from './kafka-cluster.ts';
import { kafkaVersion, whyNoKafka } from './kafka-programs.ts';
import { natsConfig } from './nats-cluster.ts';
import { natsVersion, whyNoNats } from './nats-programs.ts';

const NOT_FETCHED = '/no/such/folder';

/** A machine that has these programs. */
function machine(programs: Readonly<Record<string, string>>) {
  return (program: string): string | undefined => programs[program];
}

describe('Kafka', () => {
  const jdk = { java: 'openjdk version "17.0.15"', javac: 'javac 17.0.15' };

  it('runs where there are a JDK, and Maven to fetch it or its jars already', () => {
    expect(whyNoKafka(machine({ ...jdk, mvn: 'Apache Maven 3' }), NOT_FETCHED)).toBeUndefined();
    expect(whyNoKafka(machine(jdk), import.meta.dirname)).toBeUndefined();
    expect(whyNoKafka(machine(jdk), NOT_FETCHED)).toContain('mvn');
  });

  it.each([{}, { java: jdk.java }, { java: 'version "11.0.1"', javac: 'javac 11.0.1' }])(
    'is left out with the reason where Java is %o',
    (programs) => {
      expect(whyNoKafka(machine({ ...programs, mvn: 'Apache Maven 3' }), NOT_FETCHED)).toContain(
        'no JDK of version 17',
      );
    },
  );

  it('is named by the version that is fetched', () => {
    expect(kafkaVersion(undefined, machine(jdk))).toMatch(/^Apache Kafka 4\.\d+\.\d+ on Java 17\.0\.15$/);
  });

  it('has each node know all controllers, and listen on loopback only', () => {
    const nodes = [
      { id: 1, port: 11, controllerPort: 21 },
      { id: 2, port: 12, controllerPort: 22 },
    ];
    const [, second] = nodes;
    const properties = kafkaProperties(second!, nodes, '/data/2').split('\n');
    expect(properties).toContain('node.id=2');
    expect(properties).toContain('controller.quorum.voters=1@127.0.0.1:21,2@127.0.0.1:22');
    expect(properties).toContain('listeners=PLAINTEXT://127.0.0.1:12,CONTROLLER://127.0.0.1:22');
    expect(properties).toContain('log.dirs=/data/2');
  });
});

describe('NATS', () => {
  it('runs where it is built already, or Go is new enough to build it', () => {
    expect(whyNoNats(machine({}), import.meta.dirname)).toBeUndefined();
    expect(whyNoNats(machine({ go: 'go version go1.26.8 linux/amd64' }), NOT_FETCHED)).toBeUndefined();
    expect(whyNoNats(machine({ go: 'go version go1.22.1 linux/amd64' }), NOT_FETCHED)).toContain('no Go 1.26');
    expect(whyNoNats(machine({}), NOT_FETCHED)).toContain('no Go 1.26');
  });

  it('is named by the versions that are built', () => {
    expect(natsVersion()).toMatch(/^NATS server 2\.\d+\.\d+ with nats\.go 1\.\d+\.\d+$/);
  });

  it('syncs each write only where it is told to', () => {
    const nodes = [
      { name: 'a', port: 11, routePort: 21 },
      { name: 'b', port: 12, routePort: 22 },
    ];
    const config = (sync: 'always' | 'default') => natsConfig(nodes[0]!, nodes, { dataDir: '/data/a', sync });
    expect(config('always')).toContain('  sync_interval: always\n');
    expect(config('default')).not.toContain('sync');
    expect(config('default')).toContain('routes: ["nats://127.0.0.1:21", "nats://127.0.0.1:22"]');
    expect(config('default')).toContain('listen: "127.0.0.1:11"');
  });
});
