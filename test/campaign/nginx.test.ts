// Promise 5 behind a proxy: nginx asks by HTTP/1.0, where a plain close would look like the end of a whole answer.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestService } from '../api/harness.ts';
import { temporaryFolder } from '../temp.ts';
import { ensureProgram } from './debian.ts';

const run = promisify(execFile);

let service: TestService;

beforeAll(async () => {
  await ensureProgram('nginx', 'nginx-light');
  service = await TestService.start();
});

afterAll(() => service.stop());

/** An nginx before the service; ended with the test. */
async function startNginx(onTestFinished: (work: () => Promise<void>) => void): Promise<string> {
  const folder = await temporaryFolder();
  const port = await freePort();
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((what) => `${what}_temp_path ${folder}/${what};`)
    .join(' ');
  const configuration = `daemon off; master_process off; pid ${folder}/pid; error_log ${folder}/error.log;
    events {}
    http { access_log off; ${temporary}
      server { listen 127.0.0.1:${port}; location / { proxy_pass ${service.url}; proxy_buffering off; } } }`;
  await writeFile(join(folder, 'conf'), configuration);
  const nginx = spawn('nginx', ['-p', folder, '-e', `${folder}/error.log`, '-c', join(folder, 'conf')], {
    stdio: 'ignore',
  });
  onTestFinished(async () => {
    const ended = once(nginx, 'exit');
    nginx.kill('SIGTERM');
    await ended;
  });
  const url = `http://127.0.0.1:${port}`;
  await expect
    .poll(() =>
      fetch(`${url}/healthz`).then(
        (r) => r.status,
        () => 0,
      ),
    )
    .toBe(200);
  return url;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

test('a client behind nginx gets a whole answer whole, and notices one that fails in mid-stream', async ({
  onTestFinished,
}) => {
  const url = await startNginx(onTestFinished);
  const good = await service.declare('good', { generator: 'minbias', events: 4000, chunkEvents: 400 });
  const whole = await fetch(`${url}${good}/events/1-4000.ndjson`);
  expect((await whole.text()).trimEnd().split('\n')).toHaveLength(4000);

  const path = await service.declare('late', {
    generator: 'failing',
    parameters: { event: 37 },
    events: 40,
    chunkEvents: 4,
  });
  const cut = await fetch(`${url}${path}/events/1-40`);
  expect(cut.status).toBe(200);
  await expect(cut.text()).rejects.toThrow();

  const curl = await run('curl', ['-sS', '-o', '/dev/null', `${url}${path}/events/1-40`]).then(
    () => 0,
    (error: { code: number }) => error.code,
  );
  expect(curl).toBeGreaterThan(0);
});
