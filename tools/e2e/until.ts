/** Bounded waiting, for the suites. */
export { Hopeless, until, within } from '@partita/tool-dev/until.ts';
