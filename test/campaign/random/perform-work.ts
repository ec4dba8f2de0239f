// Work that is done while nobody waits on a connection: batches, requests that are answered later, event ranges.
import { setTimeout as pause } from 'node:timers/promises';
import { lfnOf } from '../../../core/files.ts';
import type { Call } from './client.ts';
import { jsonOf, told } from './client.ts';
import { type DatasetModel, WorkModel, type WorkShown } from './model.ts';
import type { OperationOf, Span } from './operations.ts';
import { ask, expectationOf, expectStatus, judge, type Stage, selectionOf, targetOf, Violation } from './perform.ts';
import { isHopeless } from './truth.ts';

type WorkOperation = OperationOf<
  | 'ask later'
  | 'look later'
  | 'cancel later'
  | 'batch'
  | 'look at batch'
  | 'pause batch'
  | 'resume batch'
  | 'cancel batch'
  | 'event ranges'
>;

export async function workOperation(operation: WorkOperation, stage: Stage): Promise<string> {
  switch (operation.kind) {
    case 'ask later':
      return askLater(operation, stage);
    case 'look later':
      return lookLater(operation.api, stage.model.requests[operation.request], stage);
    case 'cancel later':
      return cancel(operation.api, '/v1/requests/', stage.model.requests[operation.request], stage);
    case 'batch':
      return createBatch(operation, stage);
    case 'look at batch':
      return lookAtBatch(operation.api, stage.model.batches[operation.batch], stage);
    case 'pause batch':
      return steer(operation.api, 'paused', stage.model.batches[operation.batch], stage);
    case 'resume batch':
      return steer(operation.api, 'running', stage.model.batches[operation.batch], stage);
    case 'cancel batch':
      return cancel(operation.api, '/v1/batches/', stage.model.batches[operation.batch], stage);
    case 'event ranges':
      return eventRanges(operation, stage);
  }
}

const none = 'it was never accepted';
const againMs = 500;
const triesMax = 60;

async function askLater(operation: OperationOf<'ask later'>, stage: Stage): Promise<string> {
  const { model } = stage;
  const dataset = model.dataset(operation.dataset);
  const work = new WorkModel(dataset, operation);
  model.requests.push(work);
  const selection = selectionOf(dataset, operation);
  const target = targetOf(dataset, selection);
  const wait = operation.waitSeconds === 0 ? '' : `, wait=${operation.waitSeconds}`;
  const call: Call = { headers: { prefer: `respond-async${wait}` } };
  const exchanged = await ask(operation.api, target, call, stage);
  judge(`GET ${target} later`, dataset, expectationOf(selection, { later: true }, model), exchanged);
  const { outcome } = exchanged;
  if (outcome.kind === 'answered' && outcome.status === 202) {
    const shown = jsonOf(outcome) as WorkShown & { id: string };
    work.id = shown.id;
    if (outcome.headers['location'] !== `/v1/requests/${shown.id}`) {
      throw new Violation(`GET ${target} later: the location is ${outcome.headers['location']}.`);
    }
    check(`GET ${target} later`, work, shown, exchanged.fromMs);
  }
  return `${target} later → ${told(outcome)}`;
}

export async function lookLater(api: number, work: WorkModel | undefined, stage: Stage): Promise<string> {
  if (work?.id === undefined) return none;
  const wasOver = work.final !== undefined;
  const shown = await see(api, `/v1/requests/${work.id}`, work, stage);
  if (shown === undefined) return `/v1/requests/${work.id} → no word`;
  if (shown.state === 'completed' && !wasOver && shown.result !== undefined)
    await readResult(api, shown.result, work, stage);
  if (shown.state === 'failed' && !mayFail(work, shown.error?.code)) {
    throw new Violation(`/v1/requests/${work.id} failed: ${JSON.stringify(shown)}`);
  }
  return `/v1/requests/${work.id} → ${shown.state} ${shown.chunksDone}/${shown.chunks}`;
}

/** What cannot be made fails, and what was retired meanwhile; what cannot be kept or ordered for a long time may. */
function mayFail({ dataset, span }: WorkModel, code: string | undefined): boolean {
  if (code === 'RETIRED') return dataset.retired.during(Date.now()) !== 'no';
  if (code === 'STORE_UNAVAILABLE' || code === 'QUEUE_UNAVAILABLE') return true;
  const { chunkEvents } = dataset.truth.grid;
  for (let event = span.startEvent; event <= span.lastEvent; event += 1) {
    if (isHopeless(dataset.truth, Math.floor((event - 1) / chunkEvents))) return true;
  }
  return false;
}

async function readResult(api: number, target: string, { dataset, span }: WorkModel, stage: Stage): Promise<void> {
  const format = target.includes('.arrows') ? ('arrow' as const) : ('ndjson' as const);
  const names = new URL(target, 'http://localhost').searchParams.get('columns')?.split(',');
  const { range } = selectionOf(dataset, { ...span, format });
  const columns = dataset.truth.columns.filter(({ name }) => names === undefined || names.includes(name));
  const selection = { dataset: dataset.truth, range, format, columns };
  const exchanged = await ask(api, target, {}, stage);
  judge(`GET ${target}`, dataset, expectationOf(selection, {}, stage.model), exchanged);
}

async function createBatch(operation: OperationOf<'batch'>, stage: Stage): Promise<string> {
  const { model } = stage;
  const dataset = model.dataset(operation.dataset);
  const work = new WorkModel(dataset, operation);
  model.batches.push(work);
  const { startEvent, lastEvent, priority, hold, pin, budgetCpuSeconds } = operation;
  const json = {
    dataset: dataset.fullName,
    startEvent,
    lastEvent,
    priority,
    hold,
    ...(pin ? { pin } : {}),
    ...(budgetCpuSeconds === undefined ? {} : { budget: { cpuSeconds: budgetCpuSeconds } }),
  };
  const pinning = pin ? dataset.pinned.begin(true) : undefined;
  const exchanged = await ask(operation.api, '/v1/batches', { method: 'POST', json }, stage);
  const { declared, retired } = dataset.standing(exchanged.fromMs);
  const others = [...(declared === 'yes' ? [] : [404]), ...(retired === 'no' ? [] : [410])];
  const answer = expectStatus('POST /v1/batches', exchanged, 201, ...others);
  if (answer?.status === 201 && retired === 'yes') throw new Violation('POST /v1/batches: the dataset is retired.');
  // It holds no longer than the batch does, and nobody knows when that ends.
  pinning?.end(false);
  if (answer?.status === 201) {
    const shown = jsonOf(answer) as WorkShown & { id: string };
    work.id = shown.id;
    check('POST /v1/batches', work, shown, exchanged.fromMs);
  }
  return `${JSON.stringify(json)} → ${told(exchanged.outcome)}${work.id === undefined ? '' : ` ${work.id}`}`;
}

export async function lookAtBatch(api: number, work: WorkModel | undefined, stage: Stage): Promise<string> {
  if (work?.id === undefined) return none;
  const shown = await see(api, `/v1/batches/${work.id}`, work, stage);
  if (shown === undefined) return `/v1/batches/${work.id} → no word`;
  const { state, done, skipped, failed, chunks, reason } = shown;
  return `/v1/batches/${work.id} → ${state} ${done}+${skipped}+${failed}/${chunks} ${reason ?? ''}`;
}

export async function steer(
  api: number,
  state: 'paused' | 'running',
  work: WorkModel | undefined,
  stage: Stage,
): Promise<string> {
  if (work?.id === undefined) return none;
  const target = `/v1/batches/${work.id}`;
  for (let tries = 1; ; tries++) {
    const exchanged = await ask(api, target, { method: 'PATCH', json: { state } }, stage);
    const answer = expectStatus(`PATCH ${target}`, exchanged, 200, 409);
    if (answer?.status === 200) check(`PATCH ${target}`, work, jsonOf(answer) as WorkShown, exchanged.fromMs);
    // What is not resumed holds its chunks, and would in the end take all room there is.
    const isToBeRepeated = answer === undefined && state === 'running' && tries < triesMax;
    if (!isToBeRepeated) return `${target} ${state} → ${told(exchanged.outcome)} after ${tries}`;
    await pause(againMs);
  }
}

export async function cancel(api: number, place: string, work: WorkModel | undefined, stage: Stage): Promise<string> {
  if (work?.id === undefined) return none;
  const target = place + work.id;
  const exchanged = await ask(api, target, { method: 'DELETE' }, stage);
  const answer = expectStatus(`DELETE ${target}`, exchanged, 204);
  if (answer !== undefined) work.cancelledAtMs ??= Date.now();
  return `DELETE ${target} → ${told(exchanged.outcome)}`;
}

async function see(api: number, target: string, work: WorkModel, stage: Stage): Promise<WorkShown | undefined> {
  const exchanged = await ask(api, target, {}, stage);
  const answer = expectStatus(`GET ${target}`, exchanged, 200);
  if (answer === undefined) return undefined;
  const shown = jsonOf(answer) as WorkShown;
  check(`GET ${target}`, work, shown, exchanged.fromMs);
  return shown;
}

/** @throws Violation */
function check(what: string, work: WorkModel, shown: WorkShown, fromMs: number): void {
  const wrong = work.shown(shown, fromMs);
  if (wrong !== undefined) throw new Violation(`${what}: ${wrong} ${JSON.stringify(shown)}`);
}

/** In PanDA's words: a position in a file of the dataset where it has files, an event of the dataset itself otherwise. */
function rangeObject({ planned }: DatasetModel, span: Span, id: number) {
  const { scope, name, files, events } = planned;
  const object = { eventRangeID: `range-${id}`, GUID: `guid-${id}`, scope };
  if (files === undefined) return { object: { ...object, LFN: name, ...span }, span };
  const { eventsPerFile } = files;
  const file = Math.floor((span.startEvent - 1) / eventsPerFile) + 1;
  const before = (file - 1) * eventsPerFile;
  const lastEvent = Math.min(span.lastEvent, before + eventsPerFile, events);
  const positions = { startEvent: span.startEvent - before, lastEvent: lastEvent - before };
  return { object: { ...object, LFN: lfnOf(files, file), ...positions }, span: { ...span, lastEvent } };
}

async function eventRanges(operation: OperationOf<'event ranges'>, stage: Stage): Promise<string> {
  const asked = operation.ranges.map(({ dataset: index, startEvent, lastEvent }, i) => {
    const dataset = stage.model.dataset(index);
    return { dataset, ...rangeObject(dataset, { startEvent, lastEvent }, i) };
  });
  const json = asked.map(({ object }) => object);
  const exchanged = await ask(operation.api, '/v1/event-ranges', { method: 'POST', json }, stage);
  const answer = expectStatus('POST /v1/event-ranges', exchanged, 200);
  if (answer === undefined) return `${json.length} ranges → ${told(exchanged.outcome)}`;
  const ranges = jsonOf(answer) as RangeShown[];
  if (ranges.length !== json.length) throw new Violation(`POST /v1/event-ranges: ${ranges.length} for ${json.length}.`);
  const words: string[] = [];
  for (const [i, range] of ranges.entries()) {
    const { dataset, object, span } = asked[i] as (typeof asked)[number];
    const isSame = Object.entries(object).every(([field, value]) => range[field] === value);
    if (!isSame) throw new Violation(`POST /v1/event-ranges: ${JSON.stringify(range)} for ${JSON.stringify(object)}`);
    words.push(range.url === undefined ? String(range.error?.code) : (range.state ?? 'no state'));
    if (range.url !== undefined) await readRange(operation.api, range.url, dataset, span, stage);
    else checkRefusal(range, dataset, exchanged.fromMs);
  }
  return `${JSON.stringify(json)} → ${words.join(', ')}`;
}

interface RangeShown {
  readonly [field: string]: unknown;
  readonly url?: string;
  readonly state?: string;
  readonly error?: { readonly code: string };
}

/** How far the index of files may be behind. */
const filesBehindMs = 2_500;

/** @throws Violation */
function checkRefusal(range: RangeShown, dataset: DatasetModel, fromMs: number): void {
  const code = range.error?.code;
  const isRetired = code === 'RETIRED' && dataset.standing(fromMs).retired !== 'no';
  const isUnknown = code === 'FILE_NOT_FOUND' && dataset.declared.during(fromMs, filesBehindMs) !== 'yes';
  if (!isRetired && !isUnknown) throw new Violation(`POST /v1/event-ranges: ${JSON.stringify(range)}`);
}

/** The events of a range, as its URL gives them. @throws Violation */
async function readRange(api: number, url: string, dataset: DatasetModel, span: Span, stage: Stage): Promise<void> {
  const selection = selectionOf(dataset, { ...span, format: 'arrow' });
  const target = targetOf(dataset, selection);
  if (url !== target) throw new Violation(`POST /v1/event-ranges: the URL is ${url}, and should be ${target}.`);
  const exchanged = await ask(api, url, {}, stage);
  judge(`GET ${url}`, dataset, expectationOf(selection, {}, stage.model), exchanged);
}
