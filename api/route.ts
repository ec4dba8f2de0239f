// What a route is: where it is, what it takes and gives, and who answers. One description serves Express and
// /openapi.json, so that what is documented is what is done.
import { z } from 'zod';
import { type ErrorCode, EvokeError } from '../core/errors.ts';
import type { Answer, Input } from './answer.ts';
import type { ApiDeps } from './deps.ts';
import { fieldErrors } from './field-errors.ts';
import type { HeaderName } from './headers.ts';
import { parseQuery } from './query.ts';

export type Method = 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE';

export interface ResponseDoc {
  readonly description: string;
  /** Of a JSON body. */
  readonly schema?: z.ZodType;
  /** Of the problems that may stand within it. */
  readonly codesWithin?: readonly ErrorCode[];
  /** Of a body that is not JSON. */
  readonly mediaTypes?: readonly string[];
  readonly headers?: readonly HeaderName[];
}

interface RouteDescription {
  readonly method: Method;
  /** As OpenAPI writes it: `/v1/datasets/{scope}/{name}`. */
  readonly path: string;
  readonly summary: string;
  readonly responses: Readonly<Record<number, ResponseDoc>>;
  /** Those it may give beyond the ones that any route may. */
  readonly errors: readonly ErrorCode[];
}

interface RouteSpec<P extends z.ZodObject, Q extends z.ZodObject, B extends z.ZodType> extends RouteDescription {
  readonly params?: P;
  readonly query?: Q;
  /** Without it a request with a body is refused. */
  readonly body?: B;
  /** The handler checks the body itself, and `body` is documentation: for refusals that depend on more than the body. */
  readonly bodyChecked?: 'by handler';
  /** Where bodies may be larger than the setting BODY_BYTES says: bytes at most. */
  readonly bodyBytesMax?: (deps: ApiDeps) => number;
  /** Objects of the body may have any key, also `__proto__`: the handler checks them itself. */
  readonly bodyAnyKeys?: boolean;
  /** Answers what it knows already, without looking at the request anew; undefined where it does not. */
  readonly shortcut?: (raw: RawInput, deps: ApiDeps) => Answer | Promise<Answer> | undefined;
  readonly handler: (input: Input<z.output<P>, z.output<Q>, z.output<B>>, deps: ApiDeps) => Answer | Promise<Answer>;
}

/** A request before its route has looked at it. `query` is the raw text, `body` parsed JSON or undefined. */
export interface RawInput extends Omit<Input, 'params' | 'query' | 'body'> {
  readonly params: Readonly<Record<string, string>>;
  readonly query: string;
  readonly body: unknown;
}

export interface Route extends RouteDescription {
  readonly params: z.ZodObject;
  readonly query: z.ZodObject;
  readonly body: z.ZodType | undefined;
  readonly bodyBytesMax?: ((deps: ApiDeps) => number) | undefined;
  readonly bodyAnyKeys?: boolean | undefined;
  /** Validates and answers; throws (or rejects with) EvokeError. */
  answer(raw: RawInput, deps: ApiDeps): Answer | Promise<Answer>;
}

const nothing = z.strictObject({});

export function route<
  P extends z.ZodObject = typeof nothing,
  Q extends z.ZodObject = typeof nothing,
  B extends z.ZodType = z.ZodUndefined,
>(spec: RouteSpec<P, Q, B>): Route {
  const { method, path, summary, responses, errors, body } = spec;
  const params: z.ZodObject = spec.params ?? nothing;
  const query: z.ZodObject = spec.query ?? nothing;
  const known = new Set(Object.keys(query.shape));
  return {
    method,
    path,
    summary,
    responses,
    errors,
    params,
    query,
    body,
    bodyBytesMax: spec.bodyBytesMax,
    bodyAnyKeys: spec.bodyAnyKeys,
    answer(raw, deps) {
      const atOnce = spec.shortcut?.(raw, deps);
      if (atOnce !== undefined) return atOnce;
      const input = {
        method: raw.method,
        target: raw.target,
        requestId: raw.requestId,
        client: raw.client,
        trailersPossible: raw.trailersPossible,
        header: (name: string) => raw.header(name),
        get signal() {
          return raw.signal;
        },
        params: parseParams(params, raw.params) as z.output<P>,
        query: parseQueryWith(query, raw.query, known) as z.output<Q>,
        body: (spec.bodyChecked === undefined ? parseBody(body, raw.body) : raw.body) as z.output<B>,
      };
      return spec.handler(input, deps);
    },
  };
}

/** How a malformed segment of the path is refused. */
const paramCodes: Readonly<Record<string, ErrorCode>> = {
  scope: 'MALFORMED_NAME',
  name: 'MALFORMED_NAME',
  range: 'MALFORMED_RANGE',
};

function parseParams(schema: z.ZodObject, raw: Readonly<Record<string, string>>): unknown {
  const parsed = schema.safeParse(raw);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const name = String(issue?.path[0] ?? '');
  throw new EvokeError(paramCodes[name] ?? 'MALFORMED_REQUEST', {
    detail: `"${String(raw[name]).slice(0, 80)}" is not a valid ${name}: ${issue?.message}.`,
  });
}

function parseQueryWith(schema: z.ZodObject, text: string, known: ReadonlySet<string>): unknown {
  const parsed = schema.safeParse(parseQuery(text, known));
  if (parsed.success) return parsed.data;
  const problems = fieldErrors(parsed.error).map((error) => `${error.path.slice(1)} ${error.message}`);
  throw new EvokeError('MALFORMED_REQUEST', { detail: `The query was refused: ${problems.join('; ')}.` });
}

function parseBody(schema: z.ZodType | undefined, body: unknown): unknown {
  if (schema === undefined) return undefined;
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  throw new EvokeError('INVALID_BODY', {
    detail: 'The request body was refused.',
    errors: fieldErrors(parsed.error),
  });
}
