// The log of a chunk's digests: which writer once gave it which. It survives eviction, so that a chunk made again can be
// compared. One object per chunk, a JSON line per digest.
import { z } from 'zod';
import type { Store } from './store.ts';

const digestLine = z.object({
  writer: z.string(),
  /** SHA-256 of the Arrow stream, hex. */
  digest: z.string().regex(/^[0-9a-f]{64}$/),
  at: z.string(),
});

export type DigestLine = z.infer<typeof digestLine>;

/** Of this writer: the first digest, the one recorded before, or another than before. */
export type DigestOutcome = 'new' | 'same' | 'different';

/** A writer that gives a new digest every time is known for what it is long before this. */
const linesMax = 100;
/** A line is lost when two writers append to a log at one moment: look, and append again. */
const triesMax = 3;

/** @throws EvokeError STORE_UNAVAILABLE */
export async function readDigests(store: Store, name: string): Promise<DigestLine[]> {
  return parse((await readText(store, name)) ?? '');
}

/** @throws EvokeError STORE_UNAVAILABLE */
export async function appendDigest(
  store: Store,
  name: string,
  { writer, digest }: { writer: string; digest: string },
): Promise<DigestOutcome> {
  const line = `${JSON.stringify({ writer, digest, at: new Date().toISOString() })}\n`;
  let outcome: DigestOutcome | undefined;
  for (let tries = 0; tries < triesMax; tries++) {
    const stored = await readText(store, name);
    const text = stored ?? '';
    const lines = parse(text);
    outcome ??= compare(lines, writer, digest);
    if (lines.length >= linesMax || lines.some((other) => other.writer === writer && other.digest === digest)) break;
    // A cut last line, which no writer of ours leaves, must not swallow the new one.
    const separator = text === '' || text.endsWith('\n') ? '' : '\n';
    const isFirst = stored === undefined;
    const isStored = await store.put(name, [Buffer.from(text + separator + line)], { ifAbsent: isFirst });
    // Nobody overwrites the first line: who comes later reads it. Only a later line may be lost.
    if (isFirst && isStored) break;
  }
  return outcome ?? 'new';
}

function compare(lines: readonly DigestLine[], writer: string, digest: string): DigestOutcome {
  const own = lines.filter((line) => line.writer === writer);
  if (own.length === 0) return 'new';
  return own.every((line) => line.digest === digest) ? 'same' : 'different';
}

async function readText(store: Store, name: string): Promise<string | undefined> {
  return (await store.get(name))?.toString('utf8');
}

/** Lines that do not read are passed over: the others are evidence all the same. */
function parse(text: string): DigestLine[] {
  return text.split('\n').flatMap((line) => {
    const result = digestLine.safeParse(parseJson(line));
    return result.success ? [result.data] : [];
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
