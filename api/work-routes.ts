// The routes of long work: batches, requests that are answered later, and event ranges that are made ahead.
import { z } from 'zod';
import { rangeBytesMax } from './event-range-list.ts';
import { eventRangesBody, eventRangesShown } from './event-range-schemas.ts';
import { eventStreamType } from './event-stream.ts';
import { createBatch, deleteBatch, getBatch, listBatches, patchBatch, streamBatch } from './handlers/batches.ts';
import { postEventRanges, rangeErrors } from './handlers/event-ranges.ts';
import { deleteRequest, getRequest, streamRequest } from './handlers/requests.ts';
import { type ResponseDoc, type Route, route } from './route.ts';
import { pageOf, pageQuery } from './schemas.ts';
import * as w from './work-schemas.ts';

const batches = '/v1/batches';
const requests = '/v1/requests';
const request = z.strictObject({ id: w.requestId });
const batch = z.strictObject({ id: w.batchId });

/** What a stream of progress answers. */
const streamed: Readonly<Record<number, ResponseDoc>> = {
  200: {
    description: 'An event `progress` with the same JSON as the resource whenever it changes, until it is final.',
    mediaTypes: [eventStreamType],
    headers: ['X-Accel-Buffering'],
  },
  204: { description: 'The client has seen the final state (Last-Event-ID): it need not connect again.' },
};

export const workRoutes: readonly Route[] = [
  route({
    method: 'POST',
    path: batches,
    summary: 'Have a range made before anybody asks for it',
    body: w.batchBody,
    bodyChecked: 'by handler',
    responses: { 201: { description: 'Accepted.', schema: w.batchShown, headers: ['Location'] } },
    errors: [
      'BODY_TOO_LARGE',
      'UNSUPPORTED_MEDIA_TYPE',
      'INVALID_BODY',
      'DATASET_NOT_FOUND',
      'RETIRED',
      'BEYOND_DATASET',
      'STORE_UNAVAILABLE',
    ],
    handler: createBatch,
  }),
  route({
    method: 'GET',
    path: batches,
    summary: 'Batches, the newest first',
    query: pageQuery,
    responses: { 200: { description: 'Batches.', schema: pageOf(w.batchShown) } },
    errors: ['STORE_UNAVAILABLE'],
    handler: listBatches,
  }),
  route({
    method: 'GET',
    path: `${batches}/{id}`,
    summary: 'One batch, and how far it has come',
    params: batch,
    responses: { 200: { description: 'The batch.', schema: w.batchShown } },
    errors: ['BATCH_NOT_FOUND', 'STORE_UNAVAILABLE'],
    handler: getBatch,
  }),
  route({
    method: 'PATCH',
    path: `${batches}/{id}`,
    summary: 'Pause a batch, or have it go on',
    params: batch,
    body: w.batchPatch,
    responses: { 200: { description: 'The batch.', schema: w.batchShown } },
    errors: [
      'BODY_TOO_LARGE',
      'UNSUPPORTED_MEDIA_TYPE',
      'INVALID_BODY',
      'BATCH_NOT_FOUND',
      'ENDED',
      'STORE_UNAVAILABLE',
    ],
    handler: patchBatch,
  }),
  route({
    method: 'DELETE',
    path: `${batches}/{id}`,
    summary: 'Cancel a batch',
    params: batch,
    responses: { 204: { description: 'Cancelled, or ended before.' } },
    errors: ['BATCH_NOT_FOUND', 'STORE_UNAVAILABLE'],
    handler: deleteBatch,
  }),
  route({
    method: 'GET',
    path: `${batches}/{id}/stream`,
    summary: 'The progress of a batch as server-sent events',
    params: batch,
    responses: streamed,
    errors: ['BATCH_NOT_FOUND', 'OVERLOADED', 'STORE_UNAVAILABLE'],
    handler: streamBatch,
  }),
  route({
    method: 'GET',
    path: `${requests}/{id}`,
    summary: 'A request that is answered later, or one that failed, for a day',
    params: request,
    responses: { 200: { description: 'The request.', schema: w.requestShown } },
    errors: ['REQUEST_NOT_FOUND', 'STORE_UNAVAILABLE'],
    handler: getRequest,
  }),
  route({
    method: 'DELETE',
    path: `${requests}/{id}`,
    summary: 'Cancel a request that is answered later',
    params: request,
    responses: { 204: { description: 'Cancelled, or ended before.' } },
    errors: ['REQUEST_NOT_FOUND', 'STORE_UNAVAILABLE'],
    handler: deleteRequest,
  }),
  route({
    method: 'GET',
    path: `${requests}/{id}/stream`,
    summary: 'The progress of a request as server-sent events',
    params: request,
    responses: streamed,
    errors: ['REQUEST_NOT_FOUND', 'OVERLOADED', 'STORE_UNAVAILABLE'],
    handler: streamRequest,
  }),
  route({
    method: 'POST',
    path: '/v1/event-ranges',
    summary: "PanDA's event ranges: where their events are, held and made ahead",
    body: eventRangesBody,
    bodyChecked: 'by handler',
    bodyBytesMax: (deps) => deps.eventRanges.listMax * rangeBytesMax,
    bodyAnyKeys: true,
    responses: {
      200: {
        description: 'The list, in its order.',
        schema: eventRangesShown,
        codesWithin: rangeErrors,
      },
    },
    errors: ['BODY_TOO_LARGE', 'UNSUPPORTED_MEDIA_TYPE', 'INVALID_BODY', 'OVERLOADED', 'STORE_UNAVAILABLE'],
    handler: postEventRanges,
  }),
];
