// What a room may say to the log: fields first, then a sentence. Pino's logger fits; so does silence.

export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  /** A logger that adds these fields to all it says. */
  child(fields: Record<string, unknown>): Log;
}

const silence = () => undefined;

/** Says nothing. */
export const silentLog: Log = { debug: silence, info: silence, warn: silence, error: silence, child: () => silentLog };
