// One HTTP request, with what can go wrong told in the client's own words.
import { systemCode } from '../core/errors.ts';
import { ConnectionError, ServiceError } from './errors.ts';

/** A problem document is small; an answer that is not one is not read to its end. */
const problemBytesMax = 64 * 1024;

/**
 * One request; resolves when the headers of a good answer are there.
 * @throws ServiceError for any other answer, ConnectionError when there is none; the signal's own reason when it was aborted.
 */
export async function request(url: string, options: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, options);
  } catch (error) {
    throw connectionError(error, url, options.signal ?? undefined);
  }
  if (response.ok) return response;
  const problem = await readProblem(response);
  throw new ServiceError(response.status, problem, retryAfterMs(response.headers.get('retry-after')));
}

/** What a failed fetch or a broken body means. */
export function connectionError(error: unknown, url: string, signal?: AbortSignal): unknown {
  if (signal?.aborted && !(signal.reason instanceof DOMException && signal.reason.name === 'TimeoutError'))
    return signal.reason;
  const { origin } = new URL(url);
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const code = systemCode(cause);
  const refused = code === 'ECONNREFUSED';
  const what = refused ? 'nobody listens there' : (code ?? (cause instanceof Error ? cause.message : String(cause)));
  const hint = refused ? ' Is the service running? Start it with: npm start' : '';
  return new ConnectionError(`${origin} does not answer: ${what}.${hint}`, { cause: error });
}

async function readProblem(response: Response): Promise<Readonly<Record<string, unknown>>> {
  try {
    const value: unknown = JSON.parse(await limitedText(response, problemBytesMax));
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : {};
  } catch {
    return {};
  }
}

/** The body, cut off where it is longer than that. */
export async function limitedText(response: Response, bytesMax: number): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of response.body ?? []) {
    parts.push(part);
    bytes += part.length;
    if (bytes > bytesMax) break;
  }
  return Buffer.concat(parts).toString('utf8');
}

/** Seconds or a date; undefined when absent or nonsense. */
export function retryAfterMs(header: string | null): number | undefined {
  if (header === null) return undefined;
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(0, at - Date.now());
}

/** The entity tag's value without quotes; undefined for none, and for a weak one, which promises no bytes. */
export function strongTag({ headers }: Response): string | undefined {
  return /^"([\x21\x23-\x7e]+)"$/.exec(headers.get('etag') ?? '')?.[1];
}
