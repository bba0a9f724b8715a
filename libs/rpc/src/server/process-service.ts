/**
 * The level of the process's log, read and changed while it runs. On a public listener only callers from the same machine
 * change it: below info a log may name keys of records, and there is much of it.
 */
import { PartitaError } from '@partita/domain';
import { LogLevel } from '@partita/protocol';
import type { ProcessServiceService } from '@partita/protocol';
import type { CallContext } from './call-context.ts';
import type { ListenerKind } from './limits.ts';
import { unary } from './methods.ts';
import type { Implementation } from './methods.ts';

/** Names of the levels, by their numbers in the contract. */
const LEVELS = {
  [LogLevel.LOG_LEVEL_TRACE]: 'trace',
  [LogLevel.LOG_LEVEL_DEBUG]: 'debug',
  [LogLevel.LOG_LEVEL_INFO]: 'info',
  [LogLevel.LOG_LEVEL_WARN]: 'warn',
  [LogLevel.LOG_LEVEL_ERROR]: 'error',
  [LogLevel.LOG_LEVEL_FATAL]: 'fatal',
  [LogLevel.LOG_LEVEL_SILENT]: 'silent',
} as const;
type LevelNumber = keyof typeof LEVELS;
type LevelName = (typeof LEVELS)[LevelNumber];

/** The process's logger, as far as this is about it. */
export interface LevelControl {
  level(): LevelName;
  /** Changes it and says so in the log, with `fields`; the level until then. */
  changeLevel(level: LevelName, fields: Readonly<Record<string, unknown>>): LevelName;
}

/** Both methods, for a listener of this kind. */
export function processMethods(logger: LevelControl, listener: ListenerKind): Implementation<ProcessServiceService> {
  return {
    getLogLevel: unary(() => ({ level: numberOf(logger.level()) })),
    setLogLevel: unary(({ level }, context) => {
      if (listener === 'public' && !isLocal(context.peer)) throw notFromThere(context);
      const { clientId, peer } = context;
      return { previous: numberOf(logger.changeLevel(nameOf(level), { clientId, peer })) };
    }),
  };
}

function nameOf(level: LogLevel): LevelName {
  if (Object.hasOwn(LEVELS, level)) return LEVELS[level as LevelNumber];
  const metadata = { field: 'level', value: String(level), range: `one of ${Object.values(LEVELS).join(', ')}` };
  throw new PartitaError('INVALID_REQUEST', `level must be one of ${Object.values(LEVELS).join(', ')}`, metadata);
}

function numberOf(level: LevelName): LogLevel {
  const found = Object.entries(LEVELS).find(([, name]) => name === level);
  return found === undefined ? LogLevel.LOG_LEVEL_UNSPECIFIED : (Number(found[0]) as LogLevel);
}

/** `127.0.0.1:5000`, `[::1]:5000`, `[::ffff:127.0.0.1]:5000`. */
function isLocal(peer: string): boolean {
  return /^\[?(::ffff:)?127(\.\d{1,3}){3}\]?:\d+$|^\[?::1\]?:\d+$/.test(peer);
}

function notFromThere({ peer }: CallContext): PartitaError {
  const message =
    'the level of a log is changed from the machine that writes it, or through the listener for peers where there is one';
  return new PartitaError('PERMISSION_DENIED', message, { peer });
}
