// What the contract says of any answer, whatever was asked: the status and the code are documented for the route, a problem
// is a whole problem document, and whoever is told to come again is told when.
import { openapi } from '../../../api/openapi.ts';
import { routes } from '../../../api/routes.ts';
import { type ErrorCode, errorCatalogue } from '../../../core/errors.ts';
import { type Answered, jsonOf, type Outcome } from './client.ts';

interface Documented {
  readonly 'x-codes'?: readonly string[];
}
interface Contract {
  readonly paths: Readonly<Record<string, Record<string, { responses: Record<string, Documented> }>>>;
}

const contract = openapi(routes, '0.0.0') as unknown as Contract;
const patterns = Object.keys(contract.paths).map((path) => ({
  path,
  pattern: new RegExp(`^${path.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '[^/]+')}$`),
}));

/** What is wrong with the answer to this request; undefined where nothing is. */
export function breach(method: string, target: string, outcome: Outcome): string | undefined {
  if (outcome.kind !== 'answered') return undefined;
  const { status, headers, body } = outcome;
  if (!/^[0-9a-f-]{36}$/.test(headers['request-id'] ?? '')) return 'The answer has no Request-Id.';
  const path = patterns.find(({ pattern }) => pattern.test(target.split('?')[0] ?? ''))?.path;
  const documented = path && contract.paths[path]?.[method.toLowerCase()]?.responses[String(status)];
  if (documented === undefined || documented === '')
    return `${status} is not documented for ${method} ${path ?? target}.`;
  if (method === 'HEAD') return body.length === 0 ? undefined : 'HEAD was answered with a body.';
  const length = headers['content-length'];
  if (length !== undefined && Number(length) !== body.length)
    return `${body.length} bytes came, and ${length} were said.`;
  if (status < 400) return undefined;
  return problemBreach(outcome, documented['x-codes'] ?? []);
}

function problemBreach(outcome: Answered, codes: readonly string[]): string | undefined {
  const { status, headers } = outcome;
  const problem = codeOf(outcome);
  if (problem === undefined) return `${status} came without a problem document.`;
  if (headers['content-type'] !== 'application/problem+json')
    return `A problem is of the type ${headers['content-type']}.`;
  if (headers['cache-control'] !== 'no-store') return 'A problem may be stored by caches.';
  if (errorCatalogue[problem].status !== status) return `${problem} came with ${status}.`;
  if (!codes.includes(problem)) return `${problem} is not documented here.`;
  // What it says is for nobody, and must never come.
  if (problem === 'INTERNAL') return 'Something went wrong inside.';
  const isToComeAgain = status === 429 || status === 503;
  if (isToComeAgain && !/^[1-9]\d*$/.test(headers['retry-after'] ?? '')) return `${status} came without Retry-After.`;
  return undefined;
}

/** The code of a problem document. */
export function codeOf(outcome: Outcome): ErrorCode | undefined {
  const { code } = (jsonOf(outcome) ?? {}) as { code?: string };
  return code !== undefined && code in errorCatalogue ? (code as ErrorCode) : undefined;
}
