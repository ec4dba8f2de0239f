// The one table of routes: what Express serves and what /openapi.json says. The route that must be fastest comes first.
import { z } from 'zod';
import type { ErrorCode } from '../core/errors.ts';
import { formats } from '../formats/representation.ts';
import { getPage, getPageAsset } from './handlers/dashboard.ts';
import { getDataset, listDatasets, retireDataset } from './handlers/datasets.ts';
import { declareDataset } from './handlers/declare.ts';
import { getEvents, getPreparedEvents } from './handlers/events.ts';
import { listGenerators } from './handlers/generators.ts';
import { evictMaterialization, getMaterialization } from './handlers/materialization.ts';
import { notBuilt } from './handlers/not-built.ts';
import { getHealth, getMetrics, getOpenapi, getReadiness, getVersion, listWorkers } from './handlers/operation.ts';
import { deletePin, putPin } from './handlers/pins.ts';
import { getPlan } from './handlers/plan.ts';
import { getProvenance } from './handlers/provenance.ts';
import { getPythonClient } from './handlers/python-client.ts';
import { getCostReport } from './handlers/reports.ts';
import type { HeaderName } from './headers.ts';
import { costQuery, costReportShown } from './report-schemas.ts';
import { type Method, type ResponseDoc, type Route, route } from './route.ts';
import * as s from './schemas.ts';
import { workRoutes } from './work-routes.ts';
import { requestShown } from './work-schemas.ts';

const dataset = '/v1/datasets/{scope}/{name}';
const named: readonly ErrorCode[] = ['MALFORMED_NAME', 'DATASET_NOT_FOUND', 'STORE_UNAVAILABLE'];
const bodied: readonly ErrorCode[] = ['BODY_TOO_LARGE', 'UNSUPPORTED_MEDIA_TYPE'];
const gone: Readonly<Record<number, ResponseDoc>> = { 204: { description: 'Done, or nothing was to be done.' } };

const constant: readonly HeaderName[] = ['ETag', 'Vary', 'Link'];
const whole: readonly HeaderName[] = [
  ...constant,
  'Cache-Status',
  'Server-Timing',
  'Repr-Digest',
  'Content-Length',
  'Accept-Ranges',
  'Preference-Applied',
];
const paged: readonly HeaderName[] = [
  'ETag',
  'Vary',
  'Content-Encoding',
  'Content-Length',
  'Content-Security-Policy',
  'X-Content-Type-Options',
  'Referrer-Policy',
];
const unchanged: ResponseDoc = { description: 'The client has it already.', headers: paged };
const mediaTypes = Object.values(formats).map((format) => format.mediaType);

export const routes: readonly Route[] = [
  route({
    method: 'GET',
    path: `${dataset}/events/{range}`,
    summary: 'Events, generated where they are not stored',
    params: s.datasetPath.extend({ range: s.rangeWithSuffix }),
    query: z.strictObject({
      format: z
        .string()
        .min(1)
        .optional()
        .describe('`arrow` or `ndjson`; the suffix wins over it, and it wins over Accept.'),
      columns: z
        .string()
        .min(1)
        .optional()
        .describe('Names with commas between them: `event,GenPart_pt`. All unless said.'),
    }),
    responses: {
      200: { description: 'The events, in order.', mediaTypes, headers: [...whole, 'Trailer'] },
      206: {
        description: 'Bytes of a representation of known length.',
        mediaTypes,
        headers: [...whole, 'Content-Range'],
      },
      202: {
        description: 'On `Prefer: respond-async`: it is being made; the request can be looked at.',
        schema: requestShown,
        headers: ['Location', 'Retry-After', 'Preference-Applied'],
      },
      304: { description: 'The client has it already; nothing was generated.', headers: constant },
    },
    errors: [
      ...named,
      'MALFORMED_RANGE',
      'NOT_ACCEPTABLE',
      'RETIRED',
      'PRECONDITION_FAILED',
      'BEYOND_DATASET',
      'RANGE_NOT_SATISFIABLE',
      'UNKNOWN_COLUMN',
      'NOT_BUILT',
      'GENERATOR_NOT_REGISTERED',
      'GENERATION_FAILED',
      'OVERLOADED',
      'QUEUE_UNAVAILABLE',
      'STORE_DISAGREES',
      'NOT_MATERIALIZED',
      'CHUNK_DAMAGED',
    ],
    shortcut: getPreparedEvents,
    handler: getEvents,
  }),
  route({
    method: 'GET',
    path: '/v1/generators',
    summary: 'What can be generated',
    query: s.pageQuery,
    responses: { 200: { description: 'Generators by name.', schema: s.pageOf(s.generatorShown) } },
    errors: [],
    handler: listGenerators,
  }),
  route({
    method: 'GET',
    path: '/v1/datasets',
    summary: 'Declared datasets',
    query: s.pageQuery,
    responses: { 200: { description: 'Definitions.', schema: s.pageOf(s.datasetDefinition) } },
    errors: ['STORE_UNAVAILABLE'],
    handler: listDatasets,
  }),
  route({
    method: 'GET',
    path: dataset,
    summary: 'One dataset, and how it stands',
    params: s.datasetPath,
    responses: { 200: { description: 'The dataset.', schema: s.datasetShown } },
    errors: named,
    handler: getDataset,
  }),
  route({
    method: 'PUT',
    path: dataset,
    summary: 'Declare a dataset',
    params: s.datasetPath,
    body: s.declaration,
    bodyChecked: 'by handler',
    responses: {
      200: { description: 'The same was declared before.', schema: s.datasetShown },
      201: { description: 'Declared.', schema: s.datasetShown, headers: ['Location'] },
    },
    errors: [...bodied, 'MALFORMED_NAME', 'DATASET_CONFLICT', 'INVALID_DECLARATION', 'STORE_UNAVAILABLE'],
    handler: declareDataset,
  }),
  route({
    method: 'PUT',
    path: `${dataset}/retired`,
    summary: 'Retire a wrong dataset: its events answer 410 from now on',
    params: s.datasetPath,
    body: s.emptyBody,
    responses: { 200: { description: 'Retired.', schema: s.retiredShown } },
    errors: [...named, ...bodied, 'INVALID_BODY'],
    handler: retireDataset,
  }),
  route({
    method: 'GET',
    path: `${dataset}/materialization`,
    summary: 'Which chunks have bytes, run-length encoded',
    params: s.datasetPath,
    query: s.pageQuery.extend({
      startEvent: s.eventNumberText.describe('1 unless said.'),
      lastEvent: s.eventNumberText.describe('The last of the dataset unless said.'),
    }),
    responses: { 200: { description: 'States.', schema: s.pageOf(s.stateRun) } },
    errors: [...named, 'MALFORMED_RANGE', 'BEYOND_DATASET'],
    handler: getMaterialization,
  }),
  route({
    method: 'DELETE',
    path: `${dataset}/materialization`,
    summary: 'Make all chunks virtual again',
    params: s.datasetPath,
    responses: gone,
    errors: [...named, 'PINNED', 'FOSSIL'],
    handler: evictMaterialization,
  }),
  route({
    method: 'DELETE',
    path: `${dataset}/materialization/{range}`,
    summary: 'Make the chunks virtual again that lie wholly inside a range',
    params: s.datasetPath.extend({ range: s.range }),
    responses: gone,
    errors: [...named, 'MALFORMED_RANGE', 'BEYOND_DATASET', 'PINNED', 'FOSSIL'],
    handler: evictMaterialization,
  }),
  route({
    method: 'GET',
    path: `${dataset}/plan/{range}`,
    summary: 'What the events of a range would take',
    params: s.datasetPath.extend({ range: s.range }),
    responses: { 200: { description: 'The plan.', schema: s.planShown } },
    errors: [...named, 'MALFORMED_RANGE', 'BEYOND_DATASET', 'RETIRED'],
    handler: getPlan,
  }),
  route({
    method: 'GET',
    path: `${dataset}/provenance/{chunk}`,
    summary: 'Where a chunk came from, and how long it stays',
    params: s.datasetPath.extend({ chunk: s.chunkIndex }),
    responses: { 200: { description: 'What is known of the chunk.', schema: s.provenanceShown } },
    errors: [...named, 'CHUNK_NOT_FOUND'],
    handler: getProvenance,
  }),
  route({
    method: 'PUT',
    path: `${dataset}/pin`,
    summary: 'Exempt a dataset from eviction',
    params: s.datasetPath,
    body: s.pinBody,
    responses: { 200: { description: 'The pin.', schema: s.pinShown } },
    errors: [...named, ...bodied, 'INVALID_BODY'],
    handler: putPin,
  }),
  route({
    method: 'DELETE',
    path: `${dataset}/pin`,
    summary: 'Remove the pin',
    params: s.datasetPath,
    responses: gone,
    errors: named,
    handler: deletePin,
  }),
  route({
    method: 'GET',
    path: '/v1/workers',
    summary: 'Living workers',
    query: s.pageQuery,
    responses: { 200: { description: 'Workers by id.', schema: s.pageOf(s.workerShown) } },
    errors: ['QUEUE_UNAVAILABLE'],
    handler: listWorkers,
  }),
  route({
    method: 'GET',
    path: '/v1/version',
    summary: 'What is running',
    responses: { 200: { description: 'Versions.', schema: s.versionShown } },
    errors: [],
    handler: getVersion,
  }),
  route({
    method: 'GET',
    path: '/healthz',
    summary: 'Whether the process is alive',
    responses: { 200: { description: 'It is.', schema: s.healthShown } },
    errors: [],
    handler: getHealth,
  }),
  route({
    method: 'GET',
    path: '/readyz',
    summary: 'Whether stored data can be read, and what is missing',
    responses: {
      200: { description: 'Ready, or degraded: stored data is served.', schema: s.readyShown },
      503: { description: 'The store cannot be read.', schema: s.readyShown, headers: ['Retry-After'] },
    },
    errors: [],
    handler: getReadiness,
  }),
  route({
    method: 'GET',
    path: '/metrics',
    summary: 'For Prometheus',
    responses: { 200: { description: 'Metrics.', mediaTypes: ['text/plain'], headers: ['Content-Length'] } },
    errors: [],
    handler: getMetrics,
  }),
  route({
    method: 'GET',
    path: '/openapi.json',
    summary: 'This document',
    responses: { 200: { description: 'OpenAPI 3.1.', schema: z.record(z.string(), z.unknown()) } },
    errors: [],
    handler: getOpenapi,
  }),
  route({
    method: 'GET',
    path: '/',
    summary: 'The first page',
    responses: { 200: { description: 'The page.', mediaTypes: ['text/html'], headers: paged }, 304: unchanged },
    errors: [],
    handler: getPage,
  }),
  route({
    method: 'GET',
    path: '/page/{asset}',
    summary: 'What the first page is made of',
    params: z.strictObject({ asset: z.string().describe('A file of the page: `page.css`.') }),
    responses: {
      200: { description: 'The file.', mediaTypes: ['text/css', 'text/javascript', 'text/html'], headers: paged },
      304: unchanged,
    },
    errors: ['NOT_FOUND'],
    handler: getPageAsset,
  }),
  route({
    method: 'GET',
    path: '/client/evoke.py',
    summary: 'The client for Python, one file',
    responses: { 200: { description: 'The file.', mediaTypes: ['text/x-python'], headers: paged }, 304: unchanged },
    errors: [],
    handler: getPythonClient,
  }),
  ...workRoutes,
  route({
    method: 'GET',
    path: '/v1/reports/cost',
    summary: 'What a window of time cost, and what the same demand would have cost otherwise',
    query: costQuery,
    responses: {
      200: {
        description: 'The bill.',
        schema: costReportShown,
        mediaTypes: ['text/csv'],
        headers: ['Vary', 'Content-Length', 'Age'],
      },
    },
    errors: ['DATASET_NOT_FOUND', 'NOT_ACCEPTABLE', 'OVERLOADED', 'STORE_UNAVAILABLE'],
    handler: getCostReport,
  }),
  ...toCome('POST', `${dataset}/audit`),
  ...toCome('GET', '/v1/files/{scope}/{name}/{file}'),
  ...toCome('GET', '/v1/reports/tradeoff'),
  ...toCome('GET', '/v1/exclusions'),
  ...toCome('POST', '/v1/exclusions/{id}/recover'),
];

/** A route of the contract that is not built yet. What it would take is not looked at, but that a body is JSON. */
function toCome(method: Method, path: string): Route[] {
  const names = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1] as string);
  const takesBody = method === 'POST' || method === 'PATCH';
  return [
    {
      method,
      path,
      summary: 'Not built yet',
      params: z.object(Object.fromEntries(names.map((name) => [name, z.string()]))),
      query: z.object({}),
      body: takesBody ? z.unknown() : undefined,
      responses: {},
      errors: takesBody ? ['NOT_BUILT', ...bodied] : ['NOT_BUILT'],
      answer: notBuilt,
    },
  ];
}
