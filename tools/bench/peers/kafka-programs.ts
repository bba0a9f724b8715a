/** Apache Kafka as it is released, and what it needs of the machine: Java, and Maven to fetch it the first time. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fetched, folderOf, versionText } from './fetched.ts';
import type { Recipe } from './fetched.ts';

/** Of the server. */
const JAVA_VERSION_MIN = 17;
const POM = new URL('./kafka/pom.xml', import.meta.url);
/** Java runs it as it is. */
export const KAFKA_LOAD = fileURLToPath(new URL('./kafka/KafkaLoad.java', import.meta.url));

const JARS: Recipe = {
  name: 'kafka',
  sources: [POM],
  command: (folder) => [
    'mvn',
    ...['--batch-mode', '--quiet', '--file', fileURLToPath(POM)],
    ...['dependency:copy-dependencies', `-DoutputDirectory=${folder}`],
  ],
};

/** Why no Kafka can run here, or undefined. `versions` answers for the machine. */
export function whyNoKafka(versions: typeof versionText = versionText, jars = folderOf(JARS)): string | undefined {
  const javac = versions('javac', '-version');
  const major = Number(/javac (\d+)/.exec(javac ?? '')?.[1] ?? 0);
  if (versions('java', '-version') === undefined || major < JAVA_VERSION_MIN) {
    return `there is no JDK of version ${JAVA_VERSION_MIN} or later on this machine`;
  }
  if (existsSync(jars) || versions('mvn', '-version') !== undefined) return undefined;
  return 'there is no mvn (Maven) on this machine to fetch it with';
}

/** The class path of server and client; fetches both when they are not there. */
export async function kafkaClassPath(): Promise<string> {
  return join(await fetched(JARS), '*');
}

/** Of the server and of its Java, for a report. */
export function kafkaVersion(pom = readFileSync(POM, 'utf8'), versions: typeof versionText = versionText): string {
  const kafka = /<artifactId>kafka_[\d.]+<\/artifactId>\s*<version>([^<]+)</.exec(pom)?.[1] ?? 'unknown';
  const java = /version "([^"]+)"/.exec(versions('java', '-version') ?? '')?.[1] ?? 'unknown';
  return `Apache Kafka ${kafka} on Java ${java}`;
}
