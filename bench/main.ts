// `npm run bench [name …]`: runs the benchmarks, prints their rows, and writes bench/results.md when all of them ran.
import { writeFile } from 'node:fs/promises';
import { type Benchmark, commit, machine, type Row } from './bench.ts';
import { coldLatency } from './cold-latency.ts';
import { coldThroughput } from './cold-throughput.ts';
import { hitLatency } from './hit-latency.ts';
import { hitPath } from './hit-path.ts';
import { ledger } from './ledger.ts';
import { stampede } from './stampede.ts';
import { underBatch } from './under-batch.ts';
import { utilization } from './utilization.ts';

const benchmarks: readonly Benchmark[] = [
  hitPath,
  hitLatency,
  coldThroughput,
  coldLatency,
  stampede,
  underBatch,
  ledger,
  utilization,
];

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !benchmarks.some((benchmark) => benchmark.name === name));
if (unknown.length > 0) {
  console.error(`no benchmark ${unknown.join(', ')}; there are ${benchmarks.map((b) => b.name).join(', ')}`);
  process.exit(2);
}
const chosen = benchmarks.filter((benchmark) => wanted.length === 0 || wanted.includes(benchmark.name));

const parts: string[] = [];
for (const benchmark of chosen) {
  console.log(`${benchmark.name}: ${benchmark.how}`);
  const rows = await benchmark.run();
  parts.push(section(benchmark, rows));
  for (const row of rows) console.log(`  ${row.what}: ${row.value}${row.aim ? ` [aim ${row.aim.text}]` : ''}`);
}

if (wanted.length === 0) {
  const text = [
    '# Results',
    '',
    `\`npm run bench\` on ${machine()}; commit ${commit()}, ${new Date().toISOString().slice(0, 10)}.`,
    'The machine is shared and noisy: medians, with the extremes in brackets; the ratios are within one run.',
    '',
    ...parts,
  ].join('\n');
  await writeFile(new URL('results.md', import.meta.url), text);
  console.log('written to bench/results.md');
}

function section(benchmark: Benchmark, rows: readonly Row[]): string {
  const lines = rows.map((row) => {
    const aim = row.aim === undefined ? '' : `${row.aim.text}: ${row.aim.reached ? 'reached' : 'missed'}`;
    return `| ${row.what} | ${row.value} | ${aim} |`;
  });
  return [
    `## ${benchmark.name}`,
    '',
    benchmark.how,
    '',
    '| what | value | aim |',
    '| --- | --- | --- |',
    ...lines,
    '',
  ].join('\n');
}
