// Loaded by `node --import` before a TypeScript entry point, and therefore plain JavaScript: an older Node fails on the
// first `.ts` file with a message that helps nobody, so this one speaks first.
const major = Number(process.versions.node.split('.')[0]);
if (major < 24) {
  process.stderr.write(
    `Partita needs Node 24 or newer; this is ${process.version} (${process.execPath}).\n` +
      'On Linux x64 `npm install` brings its own: run the command through npm (`npm test`, `npm run verify`, `npx nx ...`),\n' +
      'or put it first in this shell: export PATH="$PWD/node_modules/.bin:$PATH". Elsewhere install Node 24.\n',
  );
  process.exit(1);
}
