// Query strings, strictly: every parameter known, none twice, every escape well formed. Nothing is ignored.
import { EvokeError } from '../core/errors.ts';

const noParameters: Readonly<Record<string, string>> = Object.freeze(Object.create(null) as Record<string, string>);

/**
 * The parameters of a query string (without the `?`), decoded.
 * @throws EvokeError MALFORMED_REQUEST on a name not in `known`, a repeated one, or a bad percent-encoding.
 */
export function parseQuery(text: string, known: ReadonlySet<string>): Readonly<Record<string, string>> {
  if (text === '') return noParameters;
  const parameters = Object.create(null) as Record<string, string>;
  for (const pair of text.split('&')) {
    const equals = pair.indexOf('=');
    const name = decode(equals < 0 ? pair : pair.slice(0, equals));
    if (!known.has(name)) {
      const allowed = known.size === 0 ? 'it takes none' : `it takes ${[...known].join(', ')}`;
      throw malformed(`"${name.slice(0, 80)}" is not a query parameter here: ${allowed}.`);
    }
    if (name in parameters) throw malformed(`The query parameter "${name}" is given more than once.`);
    parameters[name] = equals < 0 ? '' : decode(pair.slice(equals + 1));
  }
  return parameters;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    throw malformed('The query string has a malformed percent-encoding.');
  }
}

function malformed(detail: string): EvokeError {
  return new EvokeError('MALFORMED_REQUEST', { detail });
}
