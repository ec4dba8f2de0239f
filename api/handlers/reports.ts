// The cost report, as JSON or as CSV, reckoned for this request or remembered.
import { parseDatasetName } from '../../core/dataset.ts';
import { EvokeError } from '../../core/errors.ts';
import type { CostQuery } from '../../costs/report/report.ts';
import type { Answer, Input } from '../answer.ts';
import type { ApiDeps } from '../deps.ts';
import { preferred } from '../negotiation.ts';

type Query = Pick<CostQuery, 'by' | 'dataset'> & { from?: number | undefined; to?: number | undefined };

const windowMsDefault = 30 * 86_400_000;
const csvMediaType = 'text/csv';

export async function getCostReport(input: Input<unknown, Query>, deps: ApiDeps): Promise<Answer> {
  const mediaType = preferred(input.header('accept'), ['application/json', csvMediaType]);
  if (mediaType === undefined) {
    throw new EvokeError('NOT_ACCEPTABLE', {
      detail: 'Accept allows neither form of a report.',
      hint: `Reports are application/json or ${csvMediaType}.`,
    });
  }
  const { by, dataset } = input.query;
  const { window, ...span } = spanOf(input.query, deps.clock.now());
  if (dataset !== undefined) await deps.catalog.get(parseDatasetName(dataset));
  const question = JSON.stringify([window, by, dataset]);
  const { forms, ageMs } = await deps.reports.cost(question, { ...span, by, dataset }, input.signal);
  const isCsv = mediaType === csvMediaType;
  const form = isCsv ? forms.csv : forms.json;
  const headers = [
    'Content-Type',
    isCsv ? `${csvMediaType}; charset=utf-8; header=present` : mediaType,
    'Content-Length',
    String(form.length),
    'Cache-Control',
    'no-cache',
    'Vary',
    'Accept',
    ...(ageMs === undefined ? [] : ['Age', String(Math.floor(ageMs / 1000))]),
  ];
  if (input.method === 'HEAD') return { status: 200, headers };
  const bytes = Buffer.from(form.buffer, form.byteOffset, form.length);
  return { status: 200, headers, body: { kind: 'bytes', pieces: [bytes] } };
}

/**
 * Nothing of the future is reckoned: the window ends now at the latest. `window` is the same for those whose report may be
 * some time old: of one that goes on, the moment at which it is asked for does not count.
 */
function spanOf({ from, to }: Query, nowMs: number): Pick<CostQuery, 'fromMs' | 'toMs'> & { window: string } {
  const goesOn = to === undefined || to >= nowMs;
  const toMs = goesOn ? nowMs : to;
  const fromMs = from ?? toMs - windowMsDefault;
  if (fromMs < toMs) {
    const begins = goesOn && from === undefined ? 'the last days' : String(fromMs);
    return { fromMs, toMs, window: `${begins} to ${goesOn ? 'now' : toMs}` };
  }
  const end = goesOn ? 'now' : new Date(to).toISOString();
  throw new EvokeError('MALFORMED_REQUEST', {
    detail: `The query was refused: from, ${new Date(fromMs).toISOString()}, is not before the end, ${end}.`,
  });
}
