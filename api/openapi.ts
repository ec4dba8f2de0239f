// The OpenAPI 3.1 document, generated from the table of routes and the schemas that requests are checked with.
import { z } from 'zod';
import { type ErrorCode, errorCatalogue } from '../core/errors.ts';
import { type HeaderName, headersAlways, responseHeaders } from './headers.ts';
import { problemMediaType } from './problem.ts';
import type { ResponseDoc, Route } from './route.ts';
import { problemShown } from './schemas.ts';

/** What any route may answer. */
export const errorsAnywhere: readonly ErrorCode[] = [
  'MALFORMED_REQUEST',
  'FOREIGN_HOST',
  'METHOD_NOT_ALLOWED',
  'REQUEST_TIMEOUT',
  'TARGET_TOO_LONG',
  'HEADERS_TOO_LARGE',
  'INTERNAL',
  'OVERLOADED',
];
/** What any route under /v1/ may answer besides. */
export const errorsOfApi: readonly ErrorCode[] = ['TOO_MANY_REQUESTS'];

type Doc = Record<string, unknown>;

export function openapi(routes: readonly Route[], version: string): Doc {
  const paths: Record<string, Doc> = {};
  for (const route of routes) {
    const item = paths[route.path] ?? {};
    paths[route.path] = item;
    item[route.method.toLowerCase()] = operation(route);
    if (route.method === 'GET') item['head'] = { ...operation(route), summary: `${route.summary} (headers only)` };
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Evoke', version, description: 'Virtual event data, called into being on request.' },
    paths,
    components: {
      headers: Object.fromEntries(
        Object.entries(responseHeaders).map(([name, description]) => [
          name,
          { description, schema: { type: 'string' } },
        ]),
      ),
      schemas: { Problem: schemaOf(problemShown, 'output') },
      // What every path gets that is not in this document.
      responses: { NotFound: errorDoc(404, ['NOT_FOUND']) },
    },
  };
}

function operation(route: Route): Doc {
  const responses: Doc = {};
  for (const [status, response] of Object.entries(route.responses)) responses[status] = responseDoc(response);
  const codes = [...route.errors, ...errorsAnywhere, ...(route.path.startsWith('/v1/') ? errorsOfApi : [])];
  for (const [status, group] of byStatus(codes)) {
    // A status may stand for a success document too (readiness); that one says more.
    if (!(status in responses)) responses[status] = errorDoc(Number(status), group);
  }
  return {
    summary: route.summary,
    parameters: [...parameters(route.params, 'path'), ...parameters(route.query, 'query')],
    ...(route.body === undefined ? {} : { requestBody: requestBody(route.body) }),
    responses,
  };
}

function requestBody(schema: z.ZodType): Doc {
  const required = !schema.safeParse(undefined).success;
  return { required, content: { 'application/json': { schema: schemaOf(schema, 'input') } } };
}

function responseDoc({ description, schema, codesWithin, mediaTypes = [], headers = [] }: ResponseDoc): Doc {
  const content: Doc = {};
  if (schema !== undefined) content['application/json'] = { schema: schemaOf(schema, 'output') };
  for (const mediaType of mediaTypes) content[mediaType] = {};
  return {
    description,
    headers: headerRefs([...headersAlways, ...headers, ...(schema === undefined ? [] : ['Content-Length' as const])]),
    ...(Object.keys(content).length === 0 ? {} : { content }),
    ...(codesWithin === undefined ? {} : { 'x-codes-within': codesWithin }),
  };
}

function errorDoc(status: number, codes: readonly ErrorCode[]): Doc {
  const extra: HeaderName[] = ['Content-Length'];
  if (status === 405) extra.push('Allow');
  if (codes.includes('RANGE_NOT_SATISFIABLE')) extra.push('Content-Range');
  if (status === 429 || status === 503 || status === 502) extra.push('Retry-After');
  return {
    description: codes.map((code) => `${code}: ${errorCatalogue[code].title}.`).join(' '),
    headers: headerRefs([...headersAlways, ...extra]),
    content: { [problemMediaType]: { schema: { $ref: '#/components/schemas/Problem' } } },
    'x-codes': codes,
  };
}

function headerRefs(names: readonly HeaderName[]): Doc {
  return Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]));
}

function byStatus(codes: readonly ErrorCode[]): Map<string, ErrorCode[]> {
  const groups = new Map<string, ErrorCode[]>();
  for (const code of new Set(codes)) {
    const status = String(errorCatalogue[code].status);
    groups.set(status, [...(groups.get(status) ?? []), code]);
  }
  return groups;
}

function parameters(schema: z.ZodObject, place: 'path' | 'query'): Doc[] {
  const { properties = {}, required = [] } = schemaOf(schema, 'input') as {
    properties?: Record<string, Doc>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, { description, ...rest }]) => ({
    name,
    in: place,
    required: place === 'path' || required.includes(name),
    ...(description === undefined ? {} : { description }),
    schema: rest,
  }));
}

function schemaOf(schema: z.ZodType, io: 'input' | 'output'): Doc {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  return rest;
}
