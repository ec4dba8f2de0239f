// Does what clients do, and holds every answer against contract and model. A violation is thrown; anything else is told in a
// few words.
import { setTimeout as pause } from 'node:timers/promises';
import type { Column } from '../../../core/columns.ts';
import { formats } from '../../../formats/representation.ts';
import { type Answered, type Call, exchange, jsonOf, type Outcome, overdueMs, told } from './client.ts';
import { breach, codeOf } from './contract.ts';
import type { Expectation } from './judge.ts';
import { judgeEvents, type Troubles } from './judge.ts';
import type { DatasetModel, Model } from './model.ts';
import type { ClientOperation, OperationOf, Wanted } from './operations.ts';
import { changeDataset, declare } from './perform-datasets.ts';
import { look } from './perform-looks.ts';
import { workOperation } from './perform-work.ts';
import { hopelessChunks, type TrueSelection } from './truth.ts';

export class Violation extends Error {}

/** What operations need of the campaign. */
export interface Stage {
  readonly model: Model;
  /** Of the api of that number. */
  url(api: number): string;
  troubles(url: string, fromMs: number): Troubles;
  /** Told of every answer: for the summary. */
  answered(status: string): void;
}

/** An answer, and all that is known about when it was asked for. */
export interface Exchanged {
  readonly outcome: Outcome;
  readonly fromMs: number;
  readonly troubles: Troubles;
}

export async function perform(operation: ClientOperation, stage: Stage): Promise<string> {
  switch (operation.kind) {
    case 'declare':
      return declare(stage.model.dataset(operation.dataset), operation.api, stage);
    case 'declare again':
    case 'declare otherwise':
    case 'evict':
    case 'pin':
    case 'unpin':
    case 'retire':
      return changeDataset(operation, stage);
    case 'read':
    case 'head':
    case 'if-none-match':
    case 'only-if-cached':
      return readEvents(operation, stage);
    case 'byte range':
      return readBytes(operation, stage);
    case 'refused':
    case 'plan':
    case 'show':
    case 'materialization':
    case 'provenance':
    case 'list':
    case 'report':
    case 'workers':
      return look(operation, stage);
    default:
      return workOperation(operation, stage);
  }
}

/** Asks an api by its number, and holds the answer against the contract. */
export async function ask(api: number, target: string, call: Call, stage: Stage): Promise<Exchanged> {
  const url = stage.url(api);
  const fromMs = Date.now();
  const outcome = await exchange(url + target, call);
  const method = call.method ?? 'GET';
  stage.answered(outcome.kind === 'answered' ? String(outcome.status) : outcome.kind);
  const wrong = breach(method, target, outcome);
  if (wrong !== undefined) throw new Violation(`${method} ${target}: ${wrong} ${told(outcome)}`);
  return { outcome, fromMs, troubles: stage.troubles(url, fromMs) };
}

/**
 * The answer, where it is one of these statuses. Undefined where it was a problem that there was a reason for.
 * @throws Violation for everything else
 */
export function expectStatus(
  what: string,
  { outcome, troubles }: Exchanged,
  ...statuses: readonly number[]
): Answered | undefined {
  if (outcome.kind === 'overdue') throw new Violation(`${what}: there was no end to it in time.`);
  if (outcome.kind === 'unanswered' || outcome.kind === 'cut') {
    if (!troubles.api) throw new Violation(`${what}: ${told(outcome)}, while the api lived.`);
    return undefined;
  }
  if (outcome.kind !== 'answered') return undefined;
  if (statuses.includes(outcome.status)) return outcome;
  if (outcome.status === 503 && troubles.any) return undefined;
  if (outcome.status === 429) return undefined;
  throw new Violation(`${what}: ${told(outcome)} is no answer to this. ${outcome.body.toString('utf8').slice(0, 500)}`);
}

export function selectionOf({ truth }: DatasetModel, wanted: Omit<Wanted, 'dataset'>): TrueSelection {
  const range = { first: wanted.startEvent - 1, end: wanted.lastEvent };
  return { dataset: truth, range, format: wanted.format, columns: chosen(truth.columns, wanted.columns) };
}

/** Every column whose bit is set; all when that leaves none. */
function chosen(columns: readonly Column[], bits: number | undefined): readonly Column[] {
  if (bits === undefined) return columns;
  const some = columns.filter((_, index) => ((bits >>> (index % 32)) & 1) === 1);
  return some.length === 0 ? columns : some;
}

export function targetOf(dataset: DatasetModel, { range, format, columns }: TrueSelection): string {
  const all = columns.length === dataset.truth.columns.length;
  // Backwards: the answer has them in the dataset's order whatever the order asked for.
  const query = all
    ? ''
    : `?columns=${columns
        .map(({ name }) => name)
        .reverse()
        .join(',')}`;
  return `${dataset.path}/events/${range.first + 1}-${range.end}.${formats[format].extension}${query}`;
}

export function expectationOf(selection: TrueSelection, may: Expectation['may'], model: Model): Expectation {
  return {
    etag: model.truth.tag(selection),
    mediaType: formats[selection.format].mediaType,
    body: () => model.truth.body(selection),
    isHopeless: hopelessChunks(selection.dataset, selection.range).length > 0,
    may,
  };
}

/** @throws Violation */
export function judge(
  what: string,
  dataset: DatasetModel,
  expected: Expectation,
  { outcome, fromMs, troubles }: Exchanged,
): void {
  const wrong = judgeEvents(expected, outcome, { ...dataset.standing(fromMs), troubles });
  if (wrong !== undefined) throw new Violation(`${what}: ${wrong} (${told(outcome)})`);
}

type ReadOperation = OperationOf<'read' | 'head' | 'if-none-match' | 'only-if-cached'>;

async function readEvents(operation: ReadOperation, stage: Stage): Promise<string> {
  const { kind, api } = operation;
  const dataset = stage.model.dataset(operation.dataset);
  const selection = selectionOf(dataset, operation);
  const target = targetOf(dataset, selection);
  const may: Expectation['may'] = {
    notStored: kind === 'only-if-cached',
    headOnly: kind === 'head',
    unchanged: kind === 'if-none-match',
  };
  const expected = expectationOf(selection, may, stage.model);
  const call: Call = {
    method: kind === 'head' ? 'HEAD' : 'GET',
    headers: {
      ...(kind === 'only-if-cached' ? { 'cache-control': 'only-if-cached' } : {}),
      ...(kind === 'if-none-match' ? { 'if-none-match': `"another", W/${expected.etag}` } : {}),
      te: 'trailers',
    },
    ...(kind === 'read' ? { manner: operation.manner } : {}),
  };
  // Of a burst, the first one takes it as it is told to, and the others at once; every other one asks the other api.
  const clients = kind === 'read' ? operation.clients : 1;
  const outcomes = await Promise.all(
    Array.from({ length: clients }, async (_, i) => {
      const exchanged = await ask(
        (api + i) % 2,
        target,
        i === 0 ? call : { ...call, manner: { kind: 'whole' } },
        stage,
      );
      judge(`${call.method} ${target}`, dataset, expected, exchanged);
      return told(exchanged.outcome);
    }),
  );
  return `${target} → ${outcomes.join(' · ')}`;
}

async function readBytes(operation: OperationOf<'byte range'>, stage: Stage): Promise<string> {
  const { api, from, share } = operation;
  const dataset = stage.model.dataset(operation.dataset);
  const selection = selectionOf(dataset, operation);
  const target = targetOf(dataset, selection);
  const whole = await ask(api, target, {}, stage);
  judge(`GET ${target}`, dataset, expectationOf(selection, {}, stage.model), whole);
  if (whole.outcome.kind !== 'answered' || whole.outcome.status !== 200) return `${target} → ${told(whole.outcome)}`;
  const { length } = whole.outcome.body;
  const first = Math.floor((length * from) / 100);
  const last = Math.min(length - 1, first + Math.ceil((length * share) / 100));
  const expected = expectationOf(selection, { bytes: { first, last } }, stage.model);
  const part = await ask(api, target, { headers: { range: `bytes=${first}-${last}` } }, stage);
  judge(`GET ${target} bytes ${first}-${last}`, dataset, expected, part);
  return `${target} bytes ${first}-${last} → ${told(part.outcome)}`;
}

/**
 * Asks for events until they come; only for a service that is left alone.
 * @throws Violation when they do not
 */
export async function readUntilServed(
  dataset: DatasetModel,
  selection: TrueSelection,
  api: number,
  stage: Stage,
): Promise<void> {
  const target = targetOf(dataset, selection);
  const expected = expectationOf(selection, {}, stage.model);
  const deadline = Date.now() + overdueMs;
  for (;;) {
    const exchanged = await ask(api, target, {}, stage);
    const { outcome } = exchanged;
    judge(`GET ${target}`, dataset, expected, exchanged);
    const status = outcome.kind === 'answered' ? outcome.status : 0;
    if (status === 200) return;
    const isRight =
      (status === 410 && dataset.retired.during(exchanged.fromMs) !== 'no') ||
      (status === 404 && dataset.declared.during(exchanged.fromMs) !== 'yes') ||
      (expected.isHopeless && (codeOf(outcome) === 'GENERATION_FAILED' || outcome.kind === 'cut'));
    if (isRight) return;
    if (Date.now() > deadline)
      throw new Violation(`GET ${target} is not served: ${told(outcome)} ${JSON.stringify(jsonOf(outcome))}`);
    await pause(300);
  }
}
