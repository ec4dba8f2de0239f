// When the faults are over: every batch and request comes to its end, every event is served, hits need no Redis, everybody
// ends in order and leaves nothing behind, `evoke check` finds what was damaged and nothing else, and the ledger tells of
// every stored chunk what its own trailer says.
import { execFile } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { chunkKey, chunkRange } from '../../../core/chunk.ts';
import { calm, fewAtOnce } from './calm.ts';
import { overdueMs } from './client.ts';
import type { Fleet } from './fleet.ts';
import { counted, type Journal } from './journal.ts';
import { compareLedger } from './ledger-check.ts';
import type { DatasetModel, Model, WorkModel } from './model.ts';
import { ask, expectationOf, judge, readUntilServed, type Stage, selectionOf, targetOf } from './perform.ts';
import { changeDataset } from './perform-datasets.ts';
import { lookAtBatch, lookLater, steer } from './perform-work.ts';
import { processesOn } from './processes.ts';
import { unrest } from './quiet.ts';
import type { StoredChunks } from './stored.ts';

export interface AfterwardsParts {
  readonly model: Model;
  readonly stage: Stage;
  readonly fleet: Fleet;
  readonly stored: StoredChunks;
  readonly settings: Readonly<Record<string, string>>;
  readonly journal: Journal;
}

/** Far beyond what the settings of the campaign allow, so that only what grows without end gets there. */
const rssBytesMax = 1.5e9;
const handlesMax = 1000;
const lookMs = 500;

/** What is not in order. @throws Violation */
export async function afterwards(parts: AfterwardsParts): Promise<string[]> {
  const { model, stage, fleet, journal } = parts;
  await fleet.healed();
  for (const dataset of model.datasets) {
    await changeDataset({ kind: 'unpin', dataset: dataset.planned.index, api: 0 }, stage);
  }
  await fewAtOnce(model.batches.map((batch) => () => steer(0, 'running', batch, stage)));
  const unfinished = [
    ...(await comeToAnEnd('batches', model.batches, (work) => lookAtBatch(1, work, stage))),
    ...(await comeToAnEnd('requests', model.requests, (work) => lookLater(1, work, stage))),
  ];
  await calm(stage, 1);
  journal.milestone('afterwards: batches and requests have come to their ends');
  await fewAtOnce(model.datasets.flatMap((dataset, i) => wholeReads(dataset, i % 2, stage)));
  journal.milestone('afterwards: everything was read');
  const restless = await unrest(stage);
  journal.milestone('afterwards: the apis have come to rest');
  await readWithoutRedis(parts);
  journal.milestone('afterwards: hits were served without Redis');
  const usage = await fleet.usage();
  journal.usage(usage);
  const large = [...journal.most]
    .filter(([, { rssBytes, handles }]) => rssBytes > rssBytesMax || handles > handlesMax)
    .map(([name, { rssBytes, handles }]) => `${name} took ${rssBytes} bytes and ${handles} handles.`);
  const ends = await fleet.end();
  const left = (await processesOn(storeFolder(parts))).map((process) => `A process is left: ${process}`);
  const problems = [...unfinished, ...restless, ...large, ...ends, ...left];
  if (problems.length > 0) return problems;
  const found = await checked(parts);
  const { kinds, problems: untold } = await compareLedger(storeFolder(parts), parts.stored.spoilt);
  journal.milestone(`afterwards: the ledger has ${counted(kinds)}`);
  return [...found, ...untold];
}

function storeFolder({ settings }: AfterwardsParts): string {
  return settings['EVOKE_STORE']?.slice('file:'.length) ?? '';
}

/** Those that do not, in words. @throws Violation */
async function comeToAnEnd(
  what: string,
  works: readonly WorkModel[],
  see: (work: WorkModel) => Promise<string>,
): Promise<string[]> {
  const deadline = Date.now() + overdueMs;
  let left = works.filter(({ id, final }) => id !== undefined && final === undefined);
  for (;;) {
    const words: string[] = [];
    for (const work of left) words.push(await see(work));
    left = left.filter(({ final }) => final === undefined);
    if (left.length === 0) return [];
    if (Date.now() > deadline) return [`These ${what} come to no end: ${words.join('; ')}`];
    await pause(lookMs);
  }
}

/** All events of the dataset, in both formats. */
function wholeReads(dataset: DatasetModel, api: number, stage: Stage): (() => Promise<void>)[] {
  const span = { startEvent: 1, lastEvent: dataset.planned.events };
  return (['arrow', 'ndjson'] as const).map((format) => {
    return () => readUntilServed(dataset, selectionOf(dataset, { ...span, format }), api, stage);
  });
}

/** Of what is stored, everything is a hit while there is no Redis. @throws Violation */
async function readWithoutRedis({ model, stage, fleet, stored }: AfterwardsParts): Promise<void> {
  await fleet.trouble('redis', async () => {
    await fleet.service.redis.kill();
    const keys = new Set((await stored.keys()).filter((key) => !stored.spoilt.has(key)));
    const reads = model.datasets.flatMap((dataset, i) => {
      const { truth } = dataset;
      const index = Array.from(
        { length: Math.ceil(truth.grid.events / truth.grid.chunkEvents) },
        (_, chunk) => chunk,
      ).find((chunk) => keys.has(keyOf(dataset, chunk)));
      const { declared, retired } = dataset.standing(Date.now());
      // Its chunks may be there all the same, made through another name.
      if (index === undefined || declared !== 'yes' || retired !== 'no') return [];
      const { first, end } = chunkRange(truth.grid, index);
      const selection = selectionOf(dataset, { startEvent: first + 1, lastEvent: end, format: 'arrow' });
      return [
        async () => {
          const target = targetOf(dataset, selection);
          const exchanged = await ask(i % 2, target, { headers: { 'cache-control': 'only-if-cached' } }, stage);
          judge(`GET ${target} without Redis`, dataset, expectationOf(selection, {}, model), exchanged);
          const { outcome } = exchanged;
          if (outcome.kind !== 'answered' || outcome.status !== 200)
            throw new Error(`${target} is stored, and no hit without Redis.`);
        },
      ];
    });
    await fewAtOnce(reads);
    await fleet.service.redis.restart();
  });
}

function keyOf({ truth }: DatasetModel, chunk: number): string {
  const { derivationId: derivation, grid } = truth;
  return chunkKey({ derivation, batchEvents: grid.batchEvents, range: chunkRange(grid, chunk) });
}

interface Finding {
  readonly kind: string;
  readonly name: string;
  readonly problem: string;
}

/** What `evoke check` finds beside what was damaged or cut short, and what it finds after the repair. */
async function checked(parts: AfterwardsParts): Promise<string[]> {
  const first = await check(parts, '--repair');
  const problems: string[] = [];
  for (const finding of first) {
    const key = finding.name.replace(/^chunks\//, '').replace(/\.arrows$/, '');
    const isOurs = finding.kind === 'damaged' && parts.stored.spoilt.has(key);
    // Whoever is killed leaves unfinished writes, and has not told everything.
    if (!isOurs && finding.kind !== 'leftover' && finding.kind !== 'ledger') problems.push(JSON.stringify(finding));
  }
  parts.journal.milestone(`afterwards: evoke check --repair found ${counted(kindsOf(first))}`);
  const second = await check(parts);
  return [...problems, ...second.map((finding) => `After the repair: ${JSON.stringify(finding)}`)];
}

function kindsOf(findings: readonly Finding[]): Map<string, number> {
  const kinds = new Map<string, number>();
  for (const { kind } of findings) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  return kinds;
}

async function check({ settings, fleet }: AfterwardsParts, ...args: string[]): Promise<Finding[]> {
  const command = fileURLToPath(new URL('../../../cli/main.ts', import.meta.url));
  const env = { PATH: process.env['PATH'], EVOKE_REDIS_URL: fleet.service.redis.url, ...settings };
  const text = await new Promise<string>((resolve, reject) => {
    const options = { env, maxBuffer: 64 * 1024 * 1024 };
    execFile(process.execPath, [command, 'check', '--json', ...args], options, (error, stdout, stderr) => {
      if (stdout.trim() === '') reject(new Error(`evoke check says nothing: ${stderr} ${String(error)}`));
      else resolve(stdout);
    });
  });
  return (JSON.parse(text) as { findings: Finding[] }).findings;
}
