// How busy a long and uneven range keeps the worker threads, beside a static partition of the very same events: what the
// ATLAS Event Service was made for.
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { type DatasetShown, declare, eventsUrl, Service } from '../test/service.ts';
import { type Benchmark, quantile, type Row } from './bench.ts';
import { utilization as busyShare, busyThreads, fromQueue, type Interval, lastEnd, partitioned } from './schedule.ts';
import { drawing, type Panel } from './utilization-drawing.ts';

const run = promisify(execFile);

const threads = 2;
const replayed = [8, 64];
const events = 2_048;
const chunkEvents = 4;
const detail = 4;
const shape = 0.5;
const bins = 240;

export const utilization: Benchmark = {
  name: 'utilization',
  how: `${events} events of \`detsim\` (detail ${detail}) over \`minbias\` (k ${shape}: very uneven), ${chunkEvents} a chunk, asked for at once on ${threads} generating threads: thread time at work, from the chunks’ provenance, ÷ all thread time from the first chunk’s begin to the last one’s end. Beside it the same chunks, each with the thread time it took, dealt out to the threads beforehand in equal consecutive parts. For more threads than this machine has, both are replays, with the CPU seconds of the chunks measured here and nothing between them. Drawn in [utilization.svg](utilization.svg).`,
  async run(): Promise<Row[]> {
    const chunks = await measured();
    const cpu = chunks.map(({ cpuSeconds }) => cpuSeconds);
    const wall = chunks.map(({ start, end }) => end - start);
    const cases: Case[] = [
      { count: threads, means: 'measured', queue: fromZero(chunks), partition: partitioned(wall, threads) },
      ...replayed.map((count) => ({
        count,
        means: 'replayed',
        queue: fromQueue(cpu, count),
        partition: partitioned(cpu, count),
      })),
    ];
    await writeFile(new URL('utilization.svg', import.meta.url), drawing(cases.map(panel)));
    return [...cases.map(row), lengths(cpu)];
  },
};

interface MadeChunk extends Interval {
  readonly cpuSeconds: number;
}

interface Case {
  readonly count: number;
  readonly means: string;
  readonly queue: readonly Interval[];
  readonly partition: readonly Interval[];
}

/** The range through a service: when each of its chunks was on a thread, and the CPU it took. */
async function measured(): Promise<MadeChunk[]> {
  const service = await Service.start({ env: { EVOKE_WORKER_THREADS: String(threads) } });
  try {
    const { url } = service;
    const truth = { generator: 'minbias', parameters: { k: shape }, seed: 1, events };
    await declare(url, 'bench:truth', truth);
    const simulated = {
      generator: 'detsim',
      parameters: { detail },
      seed: 2,
      events,
      chunkEvents,
      input: 'bench:truth',
    };
    // The threads are warmed up with other events.
    await declare(url, 'bench:warm-up', { ...simulated, seed: 3 });
    await read(eventsUrl(url, 'bench:warm-up', `1-${threads * 8 * chunkEvents}.arrows`));
    const dataset = await declare(url, 'bench:calo', simulated);
    await read(eventsUrl(url, 'bench:calo', `1-${events}.arrows`));
    const made: MadeChunk[] = [];
    for (let chunk = 0; chunk < dataset.chunks; chunk++) made.push(await madeChunk(url, dataset, chunk));
    return made;
  } finally {
    await service.stop();
  }
}

/** Reads to the end with curl, which takes little of the cores that are measured. */
async function read(url: string): Promise<void> {
  await run('curl', ['-sSf', '-o', '/dev/null', url]);
}

interface Spent {
  readonly cpuSeconds: number;
  readonly wallSeconds: number;
}

async function madeChunk(url: string, { scope, name }: DatasetShown, chunk: number): Promise<MadeChunk> {
  const response = await fetch(`${url}/v1/datasets/${scope}/${name}/provenance/${chunk}`);
  const { inputs = [], ...own } = (await response.json()) as Spent & { generatedAt: string; inputs?: Spent[] };
  const [cpuSeconds, wallSeconds] = (['cpuSeconds', 'wallSeconds'] as const).map((of) =>
    inputs.reduce((sum, input) => sum + input[of], own[of]),
  ) as [number, number];
  const end = Date.parse(own.generatedAt) / 1000;
  return { start: end - wallSeconds, end, cpuSeconds };
}

/** With the first begin at 0. */
function fromZero(intervals: readonly Interval[]): Interval[] {
  const first = Math.min(...intervals.map(({ start }) => start));
  return intervals.map(({ start, end }) => ({ start: start - first, end: end - first }));
}

function shares({ count, queue, partition }: Case): { queue: number; partition: number } {
  return { queue: busyShare(queue, count), partition: busyShare(partition, count) };
}

function percent(share: number): string {
  return `${(share * 100).toFixed(0)} %`;
}

function row(given: Case): Row {
  const { queue, partition } = shares(given);
  const ratio = (queue / partition).toFixed(2);
  return {
    what: `${given.count} threads, ${given.means}: busy from the queue ÷ with a static partition`,
    value: `${percent(queue)} ÷ ${percent(partition)} = ${ratio}`,
  };
}

function lengths(cpu: readonly number[]): Row {
  const ms = (q: number) => `${(quantile(cpu, q) * 1000).toFixed(0)} ms`;
  const sum = cpu.reduce((total, seconds) => total + seconds, 0).toFixed(1);
  return {
    what: `CPU of a chunk: median, p90, p99, longest (${cpu.length} chunks, ${sum} s)`,
    value: [0.5, 0.9, 0.99, 1].map(ms).join(', '),
  };
}

function panel(given: Case): Panel {
  const { queue, partition } = shares(given);
  const seconds = Math.max(lastEnd(given.queue), lastEnd(given.partition));
  return {
    title: `${given.count} threads, ${given.means}: ${percent(queue)} busy from the queue, ${percent(partition)} with a static partition`,
    threads: given.count,
    seconds,
    queue: busyThreads(given.queue, bins, seconds),
    partition: busyThreads(given.partition, bins, seconds),
  };
}
