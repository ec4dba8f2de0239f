// What clients look at without changing it, and what they ask for that no service can give.
import { jsonOf, told } from './client.ts';
import { codeOf } from './contract.ts';
import type { DatasetModel } from './model.ts';
import type { OperationOf } from './operations.ts';
import { ask, type Exchanged, expectStatus, type Stage, Violation } from './perform.ts';
import { checkShown } from './perform-datasets.ts';
import { chunksOf, isHopeless } from './truth.ts';

type Look = OperationOf<'refused' | 'plan' | 'show' | 'materialization' | 'provenance' | 'list' | 'report' | 'workers'>;

interface ChunkRuns {
  readonly firstChunk: number;
  readonly lastChunk: number;
}

export async function look(operation: Look, stage: Stage): Promise<string> {
  switch (operation.kind) {
    case 'refused':
      return refused(operation, stage);
    case 'plan':
      return plan(operation, stage);
    case 'show':
      return show(operation, stage);
    case 'materialization':
      return materialization(operation, stage);
    case 'provenance':
      return provenance(operation, stage);
    case 'list':
      return list(operation.api, stage);
    case 'report':
      return simply(operation.api, '/v1/reports/cost', stage);
    case 'workers':
      return simply(operation.api, '/v1/workers', stage);
  }
}

/** What is not declared for certain may not be there, and what is retired may be refused. */
function standingStatuses(dataset: DatasetModel, { fromMs }: Exchanged): number[] {
  const { declared, retired } = dataset.standing(fromMs);
  return [...(declared === 'yes' ? [] : [404]), ...(retired === 'no' ? [] : [410])];
}

async function refused({ api, dataset: index, what }: OperationOf<'refused'>, stage: Stage): Promise<string> {
  const dataset = stage.model.dataset(index);
  const { path } = dataset;
  const beyond = dataset.planned.events + 1;
  const [target, code] = (
    {
      beyond: [`${path}/events/1-${beyond}`, 'BEYOND_DATASET'],
      backwards: [`${path}/events/2-1`, 'MALFORMED_RANGE'],
      column: [`${path}/events/1-1?columns=nonsense`, 'UNKNOWN_COLUMN'],
      format: [`${path}/events/1-1?format=pickle`, 'NOT_ACCEPTABLE'],
      nobody: ['/v1/datasets/random/nobody/events/1-1', 'DATASET_NOT_FOUND'],
      name: ['/v1/datasets/random/-nobody', 'MALFORMED_NAME'],
    } as const
  )[what];
  const exchanged = await ask(api, target, {}, stage);
  const answer = expectStatus(`GET ${target}`, exchanged, 400, 404, 406, 410, 416, 422);
  const given = answer && codeOf(answer);
  const isStanding = answer !== undefined && standingStatuses(dataset, exchanged).includes(answer.status);
  if (given !== undefined && given !== code && !isStanding) {
    throw new Violation(`GET ${target}: ${told(exchanged.outcome)}, and ${code} was due.`);
  }
  return `${target} → ${told(exchanged.outcome)}`;
}

async function plan(operation: OperationOf<'plan'>, stage: Stage): Promise<string> {
  const dataset = stage.model.dataset(operation.dataset);
  const { events } = dataset.planned;
  const [startEvent, lastEvent] = operation.all ? [1, events] : [operation.startEvent, operation.lastEvent];
  const target = `${dataset.path}/plan/${startEvent}-${lastEvent}`;
  const exchanged = await ask(operation.api, target, {}, stage);
  const answer = expectStatus(`GET ${target}`, exchanged, 200, ...standingStatuses(dataset, exchanged));
  if (answer?.status === 200) {
    const { runs, total } = jsonOf(answer) as { runs: ChunkRuns[]; total: { chunks: number } };
    const { chunkEvents } = dataset.truth.grid;
    const first = Math.floor((startEvent - 1) / chunkEvents);
    const last = Math.floor((lastEvent - 1) / chunkEvents);
    checkRuns(`GET ${target}`, runs, first, last);
    if (total.chunks !== last - first + 1) throw new Violation(`GET ${target}: ${JSON.stringify(total)}`);
  }
  return `${target} → ${told(exchanged.outcome)}`;
}

/** Runs follow one another and cover the chunks. @throws Violation */
function checkRuns(what: string, runs: readonly ChunkRuns[], first: number, last: number): void {
  let next = first;
  for (const { firstChunk, lastChunk } of runs) {
    if (firstChunk !== next || lastChunk < firstChunk) {
      throw new Violation(`${what}: the runs leave chunks out, or have them twice: ${JSON.stringify(runs)}`);
    }
    next = lastChunk + 1;
  }
  if (next !== last + 1) throw new Violation(`${what}: the runs end before chunk ${last}: ${JSON.stringify(runs)}`);
}

async function show(operation: OperationOf<'show'>, stage: Stage): Promise<string> {
  const dataset = stage.model.dataset(operation.dataset);
  const exchanged = await ask(operation.api, dataset.path, {}, stage);
  const { declared } = dataset.standing(exchanged.fromMs);
  const answer = expectStatus(`GET ${dataset.path}`, exchanged, 200, ...(declared === 'yes' ? [] : [404]));
  if (answer?.status === 200) {
    const shown = jsonOf(answer) as { retired: boolean };
    checkShown(`GET ${dataset.path}`, dataset, shown);
    const retired = dataset.standing(exchanged.fromMs).retired;
    if (retired === (shown.retired ? 'no' : 'yes')) {
      throw new Violation(`GET ${dataset.path}: retired is ${shown.retired}, and should not be.`);
    }
  }
  return `${dataset.path} → ${told(exchanged.outcome)}`;
}

const chunkStates = ['virtual', 'queued', 'generating', 'materialized', 'failed'];

async function materialization(operation: OperationOf<'materialization'>, stage: Stage): Promise<string> {
  const dataset = stage.model.dataset(operation.dataset);
  const target = `${dataset.path}/materialization`;
  const exchanged = await ask(operation.api, `${target}?limit=1000`, {}, stage);
  const { declared } = dataset.standing(exchanged.fromMs);
  const answer = expectStatus(`GET ${target}`, exchanged, 200, ...(declared === 'yes' ? [] : [404]));
  if (answer?.status === 200) {
    const { items } = jsonOf(answer) as { items: (ChunkRuns & { state: string })[] };
    checkRuns(`GET ${target}`, items, 0, chunksOf(dataset.truth) - 1);
    const odd = items.find(({ state }) => !chunkStates.includes(state));
    if (odd !== undefined) throw new Violation(`GET ${target}: ${JSON.stringify(odd)}`);
  }
  return `${target} → ${told(exchanged.outcome)}`;
}

async function provenance(operation: OperationOf<'provenance'>, stage: Stage): Promise<string> {
  const dataset = stage.model.dataset(operation.dataset);
  const chunk = Math.floor((operation.event - 1) / dataset.truth.grid.chunkEvents);
  const target = `${dataset.path}/provenance/${chunk}`;
  const exchanged = await ask(operation.api, target, {}, stage);
  const { declared } = dataset.standing(exchanged.fromMs);
  const answer = expectStatus(`GET ${target}`, exchanged, 200, ...(declared === 'yes' ? [] : [404]));
  if (answer?.status === 200) {
    const shown = jsonOf(answer) as { digest?: string; derivationId: string; digests: { digest: string }[] };
    const { truth } = dataset;
    const isMade = shown.digest !== undefined || shown.digests.length > 0;
    if (shown.derivationId !== truth.derivationId) throw new Violation(`GET ${target}: ${JSON.stringify(shown)}`);
    if (isMade && isHopeless(truth, chunk))
      throw new Violation(`GET ${target}: a chunk is stored that cannot be made.`);
    const all = [...(shown.digest === undefined ? [] : [shown.digest]), ...shown.digests.map(({ digest }) => digest)];
    const digest = isMade ? stage.model.truth.digest(truth, chunk) : undefined;
    if (all.some((other) => other !== digest)) {
      throw new Violation(`GET ${target}: the digests are ${all.join(', ')}, and should be ${digest}.`);
    }
  }
  return `${target} → ${told(exchanged.outcome)}`;
}

/** Everything that was declared for certain is listed, and nothing that was not. */
export async function list(api: number, stage: Stage): Promise<string> {
  const exchanged = await ask(api, '/v1/datasets?limit=1000', {}, stage);
  const answer = expectStatus('GET /v1/datasets', exchanged, 200);
  if (answer === undefined) return told(exchanged.outcome);
  const { items } = jsonOf(answer) as { items: { scope: string; name: string }[] };
  const listed = new Set(items.map(({ scope, name }) => `${scope}:${name}`));
  for (const { fullName, declared } of stage.model.datasets) {
    const certainty = declared.during(exchanged.fromMs);
    if (certainty === (listed.has(fullName) ? 'no' : 'yes')) {
      throw new Violation(`GET /v1/datasets: ${fullName} is ${listed.has(fullName) ? '' : 'not '}listed.`);
    }
  }
  return `${items.length} datasets`;
}

async function simply(api: number, target: string, stage: Stage): Promise<string> {
  const exchanged = await ask(api, target, {}, stage);
  expectStatus(`GET ${target}`, exchanged, 200);
  return `${target} → ${told(exchanged.outcome)}`;
}
