// Stored data served from memory, beside the least an Express server and an nginx could do with the same bytes.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Service } from '../test/service.ts';
import { type Benchmark, median, type Row, spread } from './bench.ts';
import { chunkOfAbout, heat, startWithSilentApi } from './hits.ts';

const run = promisify(execFile);
const rounds = 5;
const secondsPerRun = 4;
const serverCore = ['taskset', '-c', '0'];
const clientCore = ['taskset', '-c', '1'];

const sizes = [
  { name: '64 KiB', bytes: 64 * 1024, aim: 0.5 },
  { name: '1 MiB', bytes: 1024 * 1024, aim: 0.8 },
];

export const hitPath: Benchmark = {
  name: 'hit-path',
  how: `A one-chunk Arrow range from memory; servers pinned to core 0, \`wrk -t1 -c32 -d${secondsPerRun}s\` to core 1; ${rounds} rounds, each server in turn. Needs wrk and nginx on the PATH.`,
  async run() {
    const { service, silentUrl } = await startWithSilentApi({
      prefix: (role) => (role === 'worker' ? [] : serverCore),
    });
    try {
      const rows: Row[] = [];
      for (const size of sizes) rows.push(...(await measure(service, silentUrl, size)));
      return rows;
    } finally {
      await service.stop();
    }
  },
};

/** `silentUrl`: of an api that tells the ledger nothing. */
async function measure(service: Service, silentUrl: string, size: (typeof sizes)[number]): Promise<Row[]> {
  const url = await chunkOfAbout(service, size.bytes);
  const silent = url.replace(service.url, silentUrl);
  await heat(silent);
  const body = Buffer.from(await (await fetch(url)).arrayBuffer());
  const folder = await mkdtemp(join(tmpdir(), 'evoke-bench-'));
  const servers: ChildProcess[] = [];
  try {
    const file = join(folder, 'www', 'body.arrows');
    await mkdir(join(folder, 'www'));
    await writeFile(file, body);
    const express = await startExpress(file, servers);
    const nginx = await startNginx(folder, servers);
    const perSecond = {
      evoke: [] as number[],
      silent: [] as number[],
      express: [] as number[],
      nginx: [] as number[],
    };
    for (let round = 0; round < rounds; round++) {
      perSecond.evoke.push(await wrk(url));
      perSecond.silent.push(await wrk(silent));
      perSecond.express.push(await wrk(express));
      perSecond.nginx.push(await wrk(nginx));
    }
    const ratios = (other: readonly number[]) => perSecond.evoke.map((value, i) => value / (other[i] ?? Number.NaN));
    const toExpress = ratios(perSecond.express);
    return [
      {
        what: `${size.name} (${body.length} bytes): requests/s ÷ bare Express`,
        value: spread(toExpress),
        aim: { text: `≥ ${size.aim}`, reached: median(toExpress) >= size.aim },
      },
      { what: `${size.name}: requests/s ÷ nginx static file`, value: spread(ratios(perSecond.nginx)) },
      { what: `${size.name}: requests/s with ÷ without the ledger`, value: spread(ratios(perSecond.silent)) },
      { what: `${size.name}: requests/s`, value: spread(perSecond.evoke, 0) },
    ];
  } finally {
    await Promise.all(servers.map(stop));
    await rm(folder, { recursive: true });
  }
}

function script(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url));
}

async function wrk(url: string): Promise<number> {
  const [command = '', ...args] = [...clientCore, 'wrk', '-t1', '-c32', `-d${secondsPerRun}s`, url];
  const { stdout } = await run(command, args);
  const perSecond = /Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1];
  if (perSecond === undefined || /Non-2xx|Socket errors/.test(stdout))
    throw new Error(`wrk on ${url} said:\n${stdout}`);
  return Number(perSecond);
}

async function startExpress(file: string, servers: ChildProcess[]): Promise<string> {
  const [command = '', ...args] = [...serverCore, process.execPath, script('bare-express.ts'), file];
  const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  servers.push(child);
  const [port] = await once(child, 'message');
  return `http://127.0.0.1:${port}/body.arrows`;
}

async function startNginx(folder: string, servers: ChildProcess[]): Promise<string> {
  const port = await freePort();
  const configuration = `
    daemon off; master_process off; worker_processes 1; pid ${folder}/nginx.pid; error_log ${folder}/error.log;
    events { worker_connections 256; }
    http { access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;
      client_body_temp_path ${folder}/t1; proxy_temp_path ${folder}/t2; fastcgi_temp_path ${folder}/t3;
      uwsgi_temp_path ${folder}/t4; scgi_temp_path ${folder}/t5;
      server { listen 127.0.0.1:${port}; root ${folder}/www; } }`;
  await writeFile(join(folder, 'nginx.conf'), configuration);
  const [command = '', ...args] = [
    ...serverCore,
    'nginx',
    '-p',
    folder,
    '-e',
    join(folder, 'error.log'),
    '-c',
    join(folder, 'nginx.conf'),
  ];
  servers.push(spawn(command, args, { stdio: 'inherit' }));
  const url = `http://127.0.0.1:${port}/body.arrows`;
  for (let i = 0; i < 100; i++) {
    const answer = await fetch(url).catch(() => undefined);
    if (answer?.ok) return url;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error('nginx did not come up');
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

async function stop(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}
