// What clients change about datasets: declared, evicted, pinned, retired. A declaration is repeated until it is acknowledged,
// as a client that needs its dataset would.
import { setTimeout as pause } from 'node:timers/promises';
import { jsonOf, overdueMs, told } from './client.ts';
import type { DatasetModel } from './model.ts';
import type { OperationOf, PlannedDataset } from './operations.ts';
import { ask, expectStatus, type Stage, Violation } from './perform.ts';

type Change = OperationOf<'declare again' | 'declare otherwise' | 'evict' | 'pin' | 'unpin' | 'retire'>;

const againMs = 400;

export async function declare(dataset: DatasetModel, api: number, stage: Stage): Promise<string> {
  const { planned, path } = dataset;
  const deadline = Date.now() + overdueMs;
  const input = planned.input === undefined ? undefined : stage.model.dataset(planned.input);
  while (input !== undefined && input.declared.during(Date.now()) !== 'yes') {
    if (input.isRefused || Date.now() > deadline) {
      dataset.isRefused = true;
      return `${path}: its input was never declared`;
    }
    await pause(againMs);
  }
  const json = definitionOf(planned, input);
  for (let tries = 1; ; tries++) {
    const attempt = dataset.declared.begin(true);
    const exchanged = await ask(api, path, { method: 'PUT', json }, stage);
    const isInputRetired = input !== undefined && input.retired.during(exchanged.fromMs) !== 'no';
    const answer = expectStatus(`PUT ${path}`, exchanged, 201, 200, ...(isInputRetired ? [422] : []));
    attempt.end(answer?.status === 201 || answer?.status === 200);
    if (answer?.status === 422) {
      dataset.isRefused = true;
      return `${path} → 422, its input is retired`;
    }
    if (answer !== undefined) {
      checkShown(`PUT ${path}`, dataset, jsonOf(answer));
      return `${path} ${JSON.stringify(json)} → ${answer.status} after ${tries}`;
    }
    if (Date.now() > deadline) throw new Violation(`PUT ${path} is not acknowledged: ${told(exchanged.outcome)}`);
    await pause(againMs);
  }
}

function definitionOf(
  { generator, parameters, seed, events, chunkEvents, files }: PlannedDataset,
  input?: DatasetModel,
) {
  return {
    generator,
    parameters,
    seed,
    events,
    chunkEvents,
    ...(input === undefined ? {} : { input: input.fullName }),
    ...(files === undefined ? {} : { files }),
  };
}

/** What is shown of a dataset is what was declared, and the identity that follows from it. @throws Violation */
export function checkShown(what: string, { truth, planned }: DatasetModel, shown: unknown): void {
  const { derivation, events, chunkEvents, batchEvents, generator, seed, chunks, materializedChunks } = shown as Record<
    string,
    unknown
  >;
  const { grid, derivationId } = truth;
  const all = Math.ceil(grid.events / grid.chunkEvents);
  const wrong =
    derivation !== derivationId ||
    events !== grid.events ||
    chunkEvents !== grid.chunkEvents ||
    batchEvents !== grid.batchEvents ||
    generator !== planned.generator ||
    seed !== planned.seed ||
    chunks !== all ||
    (materializedChunks !== undefined && !(Number(materializedChunks) >= 0 && Number(materializedChunks) <= all));
  if (wrong)
    throw new Violation(`${what}: it is shown as ${JSON.stringify(shown)}, and should be ${JSON.stringify(truth)}.`);
}

export async function changeDataset(operation: Change, stage: Stage): Promise<string> {
  const dataset = stage.model.dataset(operation.dataset);
  switch (operation.kind) {
    case 'declare again':
    case 'declare otherwise':
      return declareOnceMore(operation.kind === 'declare again', dataset, operation.api, stage);
    case 'evict':
      return evict(operation, dataset, stage);
    case 'retire':
      return turn('retired', true, { method: 'PUT', path: `${dataset.path}/retired` }, dataset, operation.api, stage);
    case 'pin':
      return turn('pinned', true, { method: 'PUT', path: `${dataset.path}/pin` }, dataset, operation.api, stage);
    case 'unpin':
      return turn('pinned', false, { method: 'DELETE', path: `${dataset.path}/pin` }, dataset, operation.api, stage);
  }
}

/** The same again is fine; another definition under a name that is taken is refused. */
async function declareOnceMore(isSame: boolean, dataset: DatasetModel, api: number, stage: Stage): Promise<string> {
  const { planned, path } = dataset;
  // Before it is certain, this would be the declaration itself.
  if (dataset.declared.during(Date.now()) !== 'yes') return `${path}: not declared for certain`;
  const input = planned.input === undefined ? undefined : stage.model.dataset(planned.input);
  const json = definitionOf({ ...planned, seed: planned.seed + (isSame ? 0 : 1) }, input);
  const exchanged = await ask(api, path, { method: 'PUT', json }, stage);
  // Whether what stands already may still be declared when its input was retired is not laid down.
  const others = input !== undefined && input.retired.during(exchanged.fromMs) !== 'no' ? [422] : [];
  const answer = expectStatus(`PUT ${path}`, exchanged, isSame ? 200 : 409, ...others);
  if (answer?.status === 200) checkShown(`PUT ${path}`, dataset, jsonOf(answer));
  return `${path} → ${told(exchanged.outcome)}`;
}

async function evict(operation: OperationOf<'evict'>, dataset: DatasetModel, stage: Stage): Promise<string> {
  const range = operation.all ? '' : `/${operation.startEvent}-${operation.lastEvent}`;
  const target = `${dataset.path}/materialization${range}`;
  const exchanged = await ask(operation.api, target, { method: 'DELETE' }, stage);
  const { fromMs } = exchanged;
  const others = dataset.declared.during(fromMs) === 'yes' ? [] : [404];
  const answer = expectStatus(`DELETE ${target}`, exchanged, 204, 409, ...others);
  const pins = stage.model.sharing(dataset).map(({ pinned }) => pinned.during(fromMs));
  if (answer?.status === 409 && pins.every((pin) => pin === 'no')) {
    throw new Violation(`DELETE ${target}: ${told(exchanged.outcome)}, and nobody pinned it.`);
  }
  if (answer?.status === 204 && dataset.pinned.during(fromMs) === 'yes') {
    throw new Violation(`DELETE ${target}: 204, and it is pinned.`);
  }
  return `${target} → ${told(exchanged.outcome)}`;
}

async function turn(
  what: 'retired' | 'pinned',
  to: boolean,
  { method, path }: { method: string; path: string },
  dataset: DatasetModel,
  api: number,
  stage: Stage,
): Promise<string> {
  const attempt = dataset[what].begin(to);
  const exchanged = await ask(api, path, { method }, stage);
  const others = dataset.declared.during(exchanged.fromMs) === 'yes' ? [] : [404];
  const answer = expectStatus(`${method} ${path}`, exchanged, 200, 204, ...others);
  attempt.end(answer?.status === 200 || answer?.status === 204);
  return `${method} ${path} → ${told(exchanged.outcome)}`;
}
