/**
 * Node keeps what it has compiled in a folder, so that a process that is started again takes half the time: the sources are
 * TypeScript, and each start would strip and compile all of them. Entries are held against the sources' content.
 */
import { resolve } from 'node:path';

const FOLDER = resolve(import.meta.dirname, '../../node_modules/.cache/node-compile');

/** The environment with the folder in it, unless it names one. */
export function withCompileCache(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return { NODE_COMPILE_CACHE: FOLDER, ...env };
}
