// A service that is left alone has to be in order again: everything declared is there, and events of every dataset are
// served, however long that takes it within reason.

import type { DatasetModel } from './model.ts';
import { readUntilServed, type Stage, selectionOf } from './perform.ts';
import { list } from './perform-looks.ts';
import { lookAtBatch, lookLater } from './perform-work.ts';
import { Prng } from './prng.ts';

/** Requests at a time: a few, so that the machine is not the trouble. */
const atOnce = 4;

/** @throws Violation */
export async function calm(stage: Stage, seed: number): Promise<void> {
  const random = new Prng(seed);
  for (const api of [0, 1]) await list(api, stage);
  // Of those that are retired, the latest: there may be hundreds.
  const { datasets } = stage.model;
  const isRetired = ({ retired }: DatasetModel) => retired.during(Date.now()) === 'yes';
  const some = [...datasets.filter((dataset) => !isRetired(dataset)), ...datasets.filter(isRetired).slice(-10)];
  const reads = some.map((dataset, i) => {
    const { events } = dataset.planned;
    const startEvent = random.whole(1, events);
    const lastEvent = Math.min(events, startEvent + random.whole(0, 500));
    const selection = selectionOf(dataset, { startEvent, lastEvent, format: random.pick(['arrow', 'ndjson']) });
    return () => readUntilServed(dataset, selection, i % 2, stage);
  });
  await fewAtOnce(reads);
  await fewAtOnce(stage.model.batches.slice(-20).map((batch, i) => () => lookAtBatch(i % 2, batch, stage)));
  await fewAtOnce(stage.model.requests.slice(-20).map((request, i) => () => lookLater(i % 2, request, stage)));
}

export async function fewAtOnce(works: readonly (() => Promise<unknown>)[]): Promise<void> {
  const left = [...works];
  const lane = async () => {
    for (let work = left.shift(); work !== undefined; work = left.shift()) await work();
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
}
