// The Prefer header (RFC 7240), as far as it is honoured: `respond-async`, and `wait` beside it. What is not understood is
// passed over, as the RFC asks; what was honoured is said in Preference-Applied.

/** A client that would rather be told where to look than wait longer than this. */
export interface AsyncPreference {
  /** Undefined where it did not say: then it does not wait. */
  readonly waitSeconds: number | undefined;
}

const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+/;
const quoted = /^"((?:[^"\\]|\\.)*)"/;
const space = /^[ \t]*/;

/**
 * Undefined without `respond-async`: `wait` alone is not honoured, and not said to be. A client waits at most
 * `waitSecondsMax`, whatever it asks for.
 */
export function asyncPreference(prefer: string | undefined, waitSecondsMax: number): AsyncPreference | undefined {
  if (prefer === undefined) return undefined;
  const preferences = parsePrefer(prefer);
  if (!preferences.has('respond-async')) return undefined;
  const wait = preferences.get('wait');
  if (wait === undefined || !/^\d+$/.test(wait)) return { waitSeconds: undefined };
  // However many digits: what lies beyond the numbers lies beyond the bound.
  return { waitSeconds: Math.min(Number(wait), Math.floor(waitSecondsMax)) };
}

/** What was honoured, for Preference-Applied. */
export function applied({ waitSeconds }: AsyncPreference): string {
  return waitSeconds === undefined ? 'respond-async' : `respond-async, wait=${waitSeconds}`;
}

/**
 * Preferences by their lower-case names, '' for one without a value. The first of several of a name counts; parameters are
 * passed over, and so is a list's element that is not well formed.
 */
export function parsePrefer(header: string): Map<string, string> {
  const preferences = new Map<string, string>();
  let rest = header;
  const take = (pattern: RegExp): RegExpExecArray | null => {
    const match = pattern.exec(rest);
    if (match !== null) rest = rest.slice(match[0].length);
    return match;
  };
  /** `name` or `name=value`, the value a token or quoted; undefined where there is none. */
  const pair = (): [name: string, value: string] | undefined => {
    take(space);
    const name = take(token)?.[0].toLowerCase();
    if (name === undefined) return undefined;
    take(space);
    if (take(/^=/) === null) return [name, ''];
    take(space);
    const text = take(quoted)?.[1]?.replaceAll(/\\(.)/g, '$1') ?? take(token)?.[0] ?? '';
    return [name, text];
  };
  while (rest !== '') {
    const preference = pair();
    for (take(space); take(/^;/) !== null; take(space)) pair();
    const isWellFormed = rest === '' || rest.startsWith(',');
    if (preference !== undefined && isWellFormed && !preferences.has(preference[0])) preferences.set(...preference);
    // To the next element. Quotes that hide a comma are part of this one; of quotes without an end all the rest is.
    while (rest !== '' && take(/^,/) === null) {
      if (take(quoted) === null) rest = rest.startsWith('"') ? '' : rest.slice(1);
    }
  }
  return preferences;
}
