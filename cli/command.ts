// What the commands share: the options that every one of them takes, and how an end becomes an exit code.
import { Command, CommanderError } from 'commander';
import { EvokeClient } from '../client/http.ts';
import { readConfig } from '../config/settings.ts';
import { EvokeError, messageOf } from '../core/errors.ts';
import { harmless } from './output.ts';

export const exitCodes = { ok: 0, failed: 1, usage: 2 } as const;

/** Wrong use of the command line, found after the options were read. */
export class UsageError extends Error {}

export interface ClientOptions {
  readonly server?: string;
  readonly json?: boolean;
}

/** A command that asks the service. */
export function clientCommand(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .option('--server <url>', 'address of the service (EVOKE_SERVER, or EVOKE_HOST and EVOKE_PORT, unless said)')
    .option('--json', 'print JSON');
}

function serverOf(options: ClientOptions): string {
  if (options.server !== undefined) return options.server;
  const { server, host, port } = readConfig(process.env);
  return server ?? `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** @throws UsageError when the address is none. */
export function clientOf(options: ClientOptions): EvokeClient {
  const server = serverOf(options);
  const { username = '', password = '' } = URL.parse(server) ?? {};
  if (username !== '' || password !== '') throw new UsageError('--server: an address takes no user and no password.');
  try {
    return new EvokeClient(server);
  } catch {
    throw new UsageError(`--server: "${server}" is not an http address.`);
  }
}

/** A whole number within bounds, as an option's argument. */
export function wholeNumber(name: string, min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max) {
      throw new UsageError(`${name}: "${text}" is not a whole number from ${min} to ${max}.`);
    }
    return value;
  };
}

/** The exit code for whatever a command threw. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  if (error instanceof UsageError) return exitCodes.usage;
  const malformed =
    error instanceof EvokeError && (error.code === 'MALFORMED_NAME' || error.code === 'MALFORMED_RANGE');
  return malformed ? exitCodes.usage : exitCodes.failed;
}

/** What is said of it on standard error; empty when the parser has said it already. */
export function lastWords(error: unknown): string {
  if (error instanceof CommanderError) return '';
  const hint = error instanceof EvokeError && error.details.hint !== undefined ? ` ${error.details.hint}` : '';
  // A message of bad settings has a line for each; anything else is one, whatever it quotes, and nothing that a terminal obeys.
  const isList = error instanceof EvokeError && error.code === 'BAD_SETTINGS';
  return `evoke: ${isList ? messageOf(error) : harmless(messageOf(error))}${harmless(hint)}`;
}
