// Event ranges in PanDA's words: found, held for whoever asked, and made ahead. Each object of a list has its own answer, in
// its place; only what is no list at all is refused as a whole.
import { setImmediate as pause } from 'node:timers/promises';
import { type ChunkSpan, chunksCovering } from '../../core/chunk.ts';
import { type Dataset, derivationsOf } from '../../core/dataset.ts';
import { type ErrorCode, EvokeError } from '../../core/errors.ts';
import { type EventRange, formatEventRange } from '../../core/event-range.ts';
import { eventsBetween } from '../../core/files.ts';
import { SpanSet } from '../../core/span-set.ts';
import { formats } from '../../formats/representation.ts';
import type { AheadPiece } from '../../scheduler/ahead.ts';
import { type LookBudget, type RunTable, surveySpans } from '../../scheduler/run-table.ts';
import { type Answer, type Input, json } from '../answer.ts';
import type { ApiDeps } from '../deps.ts';
import { answered, askedRange, type RangeList, type RangeObject, readRangeList } from '../event-range-list.ts';
import { FileLookup } from '../file-lookup.ts';
import { problemDocument } from '../problem.ts';
import { datasetPathOf } from './describe.ts';
import { type ChunkStateName, statesUnderway, underway } from './underway.ts';

/** A range that was found. */
interface Found {
  readonly dataset: Dataset;
  readonly range: EventRange;
  readonly span: ChunkSpan;
}

type States = ReadonlyMap<Dataset, RunTable<ChunkStateName>>;

/** From the least advanced on. */
const leastFirst: readonly ChunkStateName[] = ['failed', 'virtual', 'queued', 'generating', 'fossil', 'materialized'];
const missing: ReadonlySet<ChunkStateName> = new Set(['virtual', 'queued', 'generating', 'failed']);
/** How much of the store one list may have looked at, of whichever datasets. */
const lookBudget: LookBudget = { listings: 1_000, chunks: 200_000 };
/** Ranges that are seen to before others have their turn. */
const atOnce = 500;

export async function postEventRanges(input: Input, deps: ApiDeps): Promise<Answer> {
  const { body, requestId, client } = input;
  const list = readRangeList(body, deps.eventRanges.listMax);
  const found = await findAll(list, deps);
  const good = found.filter((each): each is Found => !(each instanceof EvokeError));
  // Held first: what is found stored stays so.
  const held = await deps.eventRanges.holds.hold(good);
  const states = await statesOf(good, deps);
  const untilMs = deps.clock.now() + deps.eventRanges.holds.holdMs;
  const isHeld = new Set(good.filter((_, i) => held[i]));
  const pieces = piecesAhead([...isHeld], states);
  if (pieces.length > 0) deps.eventRanges.ahead.begin({ requestId, client, pieces, untilMs });
  deps.log.debug(
    { requestId, ranges: found.length, good: good.length, held: isHeld.size },
    'event ranges were asked for',
  );
  const heldUntil = new Date(untilMs).toISOString();
  const answers: RangeObject[] = [];
  for (const [i, each] of found.entries()) {
    if (i % atOnce === atOnce - 1) await pause();
    const said = sayOf(each, states, deps);
    if (said instanceof EvokeError) {
      deps.eventRanges.tally.refused(said.code);
      answers.push(answered(list.ranges[i] as RangeObject, { error: problemDocument(said, requestId) }));
    } else {
      const isKept = isHeld.has(each as Found);
      deps.eventRanges.tally.accepted(isKept);
      answers.push(answered(list.ranges[i] as RangeObject, { ...said, ...(isKept ? { heldUntil } : {}) }));
    }
  }
  return json(200, answers);
}

async function findAll({ ranges, bounds }: RangeList, { catalog }: ApiDeps): Promise<(Found | EvokeError)[]> {
  const lookup = new FileLookup(catalog);
  const found: (Found | EvokeError)[] = [];
  for (const [i, each] of ranges.entries()) {
    if (i % atOnce === atOnce - 1) await pause();
    try {
      const { scope, lfn, startEvent, lastEvent } = askedRange(each);
      const { dataset, events } = await lookup.find(scope, lfn);
      const range = eventsBetween(startEvent, lastEvent, events, bounds);
      found.push({ dataset, range, span: chunksCovering(range, dataset.chunkEvents) });
    } catch (error) {
      // A store that is away is no fault of the list's.
      if (!(error instanceof EvokeError) || error.code === 'STORE_UNAVAILABLE') throw error;
      found.push(error);
    }
  }
  return found;
}

/** Where the chunks stand, by dataset. @throws EvokeError STORE_UNAVAILABLE */
async function statesOf(found: readonly Found[], deps: ApiDeps): Promise<States> {
  const spans = new Map<Dataset, ChunkSpan[]>();
  for (const { dataset, span } of found) {
    const known = spans.get(dataset);
    if (known === undefined) spans.set(dataset, [span]);
    else known.push(span);
  }
  const states = new Map<Dataset, RunTable<ChunkStateName>>();
  if (spans.size === 0) return states;
  const known = await underway(deps);
  const budget = { ...lookBudget };
  for (const [dataset, own] of spans) {
    const stored: ChunkStateName = deps.registry.canRemake(dataset) ? 'materialized' : 'fossil';
    const all = { first: 0, end: Number.MAX_SAFE_INTEGER };
    const naming = { stored: () => stored, absent: 'virtual' as const, special: statesUnderway(dataset, all, known) };
    states.set(dataset, await surveySpans<ChunkStateName>(dataset, own, deps.chunks, naming, budget));
  }
  return states;
}

function sayOf(
  each: Found | EvokeError,
  states: States,
  deps: ApiDeps,
): { url: string; state: ChunkStateName } | EvokeError {
  if (each instanceof EvokeError) return each;
  const { dataset, range, span } = each;
  const state = states.get(dataset)?.firstOf(leastFirst, span) ?? 'virtual';
  const unmade = missing.has(state) ? notRegistered(dataset, deps) : undefined;
  if (unmade !== undefined) return unmade;
  return { url: `${datasetPathOf(dataset)}/events/${formatEventRange(range)}.${formats.arrow.extension}`, state };
}

/** Why nothing of the dataset can be made here. */
function notRegistered(dataset: Dataset, { registry }: Pick<ApiDeps, 'registry'>): EvokeError | undefined {
  if (registry.costOf(dataset) !== undefined) return undefined;
  try {
    for (const { generator, version } of derivationsOf(dataset)) registry.get(generator, version);
  } catch (error) {
    if (error instanceof EvokeError) return error;
    throw error;
  }
  return undefined;
}

/** The missing chunks of the ranges, each once, in the order of the list. */
function piecesAhead(found: readonly Found[], states: States): AheadPiece[] {
  const taken = new Map<Dataset, SpanSet>();
  const pieces: AheadPiece[] = [];
  for (const { dataset, span } of found) {
    const known = taken.get(dataset) ?? new SpanSet();
    taken.set(dataset, known);
    for (const part of known.add(span)) {
      for (const absent of states.get(dataset)?.inStates(missing, part) ?? []) pieces.push({ dataset, span: absent });
    }
  }
  return pieces;
}

/** Codes of the problems that an object of a list may be answered with. */
export const rangeErrors: readonly ErrorCode[] = [
  'INVALID_BODY',
  'MALFORMED_NAME',
  'MALFORMED_RANGE',
  'FILE_NOT_FOUND',
  'AMBIGUOUS_FILE',
  'RETIRED',
  'BEYOND_DATASET',
  'GENERATOR_NOT_REGISTERED',
];
