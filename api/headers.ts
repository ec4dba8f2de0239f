// Every response header of the API, with what it means: the source of the header objects in /openapi.json.

export const responseHeaders = {
  'Request-Id': 'A UUID that the logs know too.',
  'Cache-Control': 'Events never change; everything else is asked for again.',
  Location: 'Where the new resource is.',
  Allow: 'The methods there are.',
  'Retry-After': 'Seconds after which another try makes sense.',
  Age: 'RFC 9111: the answer was remembered, and began to be made so many seconds ago.',
  'Preference-Applied': 'RFC 7240: what of Prefer was honoured.',
  'X-Accel-Buffering': '`no`: what stands before the service passes events on as they come.',
  ETag: 'Of all that fixes the bytes, known before anything is generated; weak where reproducibility is `statistical`.',
  Vary: 'What else the answer depends on.',
  'Cache-Status':
    'RFC 9211: `evoke; hit`, or `evoke; fwd=miss; detail="hit=… joined=… generated=…"`, with `; collapsed` when this request generates nothing itself.',
  'Server-Timing': 'Milliseconds: plan, queue, generate (of the chunk that comes first).',
  Link: 'The dataset (describedby) and the provenance of the first chunk.',
  'Repr-Digest': 'RFC 9530, of the whole representation; a trailer on `TE: trailers` when it is not known beforehand.',
  Trailer: 'Names the trailer that follows the body.',
  'Content-Length': 'Where the length is known before the body is sent.',
  'Accept-Ranges': '`bytes`, where the length is known.',
  'Content-Range': 'RFC 9110: which bytes these are, of how many.',
  'Content-Encoding': '`gzip`, of the first page, for who takes it.',
  'Content-Security-Policy': 'Of the first page: it loads nothing from elsewhere, and is framed by nobody.',
  'X-Content-Type-Options': '`nosniff`: a part of the page is what its media type says.',
  'Referrer-Policy': '`no-referrer`',
} as const;

export type HeaderName = keyof typeof responseHeaders;

/** Sent with every answer. */
export const headersAlways: readonly HeaderName[] = ['Request-Id', 'Cache-Control'];
