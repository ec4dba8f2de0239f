import { existsSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { eventually } from '../eventually.ts';
import { startRedis } from '../redis.ts';
import { temporaryFolder } from '../temp.ts';
import { evoke, OneMachine } from './one-machine.ts';

test('a start brings the service up; its printed lines work; a second start is refused; Ctrl-C leaves nothing; the data is found again', async () => {
  const service = await (await OneMachine.start()).up();
  const { address, dataDir } = service;
  const curl = /curl (\S+)/.exec(service.stdout)?.[1] ?? '';
  expect((await (await fetch(curl)).text()).split('\n')).toHaveLength(4);
  const [, get = ''] = /npx evoke (get .*)/.exec(service.stdout) ?? [];
  const file = join(dataDir, 'zmumu.arrows');
  const got = await evoke(get.replace('-o zmumu.arrows', `-o ${file}`).split(' '));
  expect(got).toMatchObject({ code: 0, stdout: '', stderr: expect.stringContaining('100000 events') });
  expect(existsSync(file)).toBe(true);
  const before = await (await fetch(`${address}/v1/datasets/demo/zmumu`)).json();
  expect(before).toMatchObject({ events: 1_000_000, seed: 1, materializedChunks: expect.any(Number) });
  const calo = await (await fetch(`${address}/v1/datasets/demo/calo`)).json();
  expect(calo).toMatchObject({ events: 100_000, seed: 1, generator: 'detsim', input: 'demo:minbias' });

  const second = await (await OneMachine.start({ dataDir })).ended();
  expect(second).toBe(1);
  const refused = await evoke(['start'], { EVOKE_DATA_DIR: dataDir });
  expect(refused.stderr).toContain(`pid ${service.child.pid}, ${address}`);
  expect(refused.stderr.trim().split('\n')).toHaveLength(1);

  const logs = join(dataDir, 'logs');
  expect((await readdir(logs)).sort()).toEqual(['api.log', 'redis.log', 'scheduler.log', 'worker.log']);
  const [logged = ''] = (await readFile(join(logs, 'api.log'), 'utf8')).split('\n');
  expect(JSON.parse(logged)).toMatchObject({ role: 'api', level: 30 });

  const { redisFolder = '' } = service.notes;
  expect(service.running()).toHaveLength(4);
  service.interrupt();
  service.interrupt();
  expect(await service.ended()).toBe(0);
  expect(service.running()).toEqual([]);
  expect(existsSync(redisFolder)).toBe(false);
  expect((await readdir(dataDir)).sort()).toEqual(['logs', 'store', 'zmumu.arrows']);
  expect(service.stderr).toBe('');

  const again = await (await OneMachine.start({ dataDir })).up();
  const after = await (await fetch(`${again.address}/v1/datasets/demo/zmumu`)).json();
  expect(after).toMatchObject(before as object);
  again.child.kill('SIGTERM');
  expect(await again.ended()).toBe(0);
  expect(again.running()).toEqual([]);
});

test('a role that dies is started again, and so is Redis, and it is said; the service goes on at the same address', async () => {
  const service = await (await OneMachine.start()).up();
  for (const name of ['worker', 'api', 'redis', 'scheduler']) {
    const pid = await eventually(() => service.pidOf(name));
    process.kill(pid, 'SIGKILL');
    const line = `${name} (pid ${pid}) was killed by SIGKILL; starting it again in 0.5 s.`;
    await eventually(() => expect(service.stderr).toContain(line));
    await eventually(async () => expect(await service.pidOf(name)).not.toBe(pid));
  }
  // Nothing of this range is stored: it takes every one of them.
  await eventually(
    async () => {
      const response = await fetch(`${service.address}/v1/datasets/demo/minbias/events/1-10`);
      expect(response.status).toBe(200);
      expect((await response.text()).split('\n')).toHaveLength(11);
    },
    { interval: 200 },
  );
  service.interrupt();
  expect(await service.ended()).toBe(0);
  expect(service.running()).toEqual([]);
});

test('a killed service takes its roles and its Redis with it, and the next start takes over', async () => {
  const service = await (await OneMachine.start()).up();
  const { redisFolder = '' } = service.notes;
  expect(service.running()).toHaveLength(4);
  service.child.kill('SIGKILL');
  await service.ended();
  const again = await (await OneMachine.start({ dataDir: service.dataDir })).up();
  expect(service.running().map(({ pid }) => pid)).toEqual(again.running().map(({ pid }) => pid));
  expect(existsSync(redisFolder)).toBe(false);
  again.interrupt();
  await again.ended();
  expect(service.running()).toEqual([]);
});

test('when its launcher is gone, the service drains and ends', async () => {
  const service = await (await OneMachine.start()).up();
  service.child.disconnect();
  expect(await service.ended()).toBe(0);
  expect(service.running()).toEqual([]);
});

test('a port that is taken is one clear line and an end, with everything stopped', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await new Promise((listening) => server.once('listening', listening));
  const { port } = server.address() as AddressInfo;
  const service = await OneMachine.start({ env: { EVOKE_PORT: String(port) } });
  expect(await service.ended()).toBe(1);
  expect(service.stderr.trim().split('\n')).toEqual([
    expect.stringMatching(new RegExp(`Port ${port} .*in use.*EVOKE_PORT`)),
  ]);
  expect(service.running()).toEqual([]);
  expect(await readdir(service.dataDir)).not.toContain('service.lock');
});

test('a Ctrl-C while it comes up ends it, too', async () => {
  const service = await OneMachine.start();
  await eventually(() => expect(service.notes.processes?.length).toBeGreaterThan(1), { interval: 5 });
  service.interrupt();
  expect(await service.ended()).toBe(0);
  expect(service.running()).toEqual([]);
  expect(service.stdout).not.toContain('ready at');
});

test('with EVOKE_REDIS_URL set it starts no Redis, and leaves the shared one running', async () => {
  const redis = await startRedis();
  onTestFinished(() => redis.stop());
  const service = await (await OneMachine.start({ env: { EVOKE_REDIS_URL: redis.url } })).up();
  expect(service.running()).toHaveLength(3);
  await expect(service.pidOf('redis')).rejects.toThrow('no redis runs');
  expect((await fetch(`${service.address}/v1/datasets/demo/minbias/events/1-10`)).status).toBe(200);
  service.interrupt();
  await service.ended();
  expect(await redis.command('PING')).toBe('PONG');
});

test('bad settings are one message with all of them, and nothing is made', async () => {
  const dataDir = join(await temporaryFolder(), 'data');
  const service = await OneMachine.start({ dataDir, env: { EVOKE_PORT: 'x', EVOKE_ATTEMPTS: '0' } });
  expect(await service.ended()).toBe(1);
  expect(service.stderr).toMatch(/EVOKE_PORT="x"[\s\S]*EVOKE_ATTEMPTS="0"/);
  expect(existsSync(dataDir)).toBe(false);
});

test('a data folder that cannot be one is named in one line, with the way out', async () => {
  const dataDir = join(await temporaryFolder(), 'taken');
  await writeFile(dataDir, '');
  for (const folder of [dataDir, join(dataDir, 'below')]) {
    const refused = await evoke(['start'], { EVOKE_DATA_DIR: folder });
    expect(refused).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^evoke: .*cannot be used.*EVOKE_DATA_DIR\.\n$/),
    });
    expect(refused.stderr).toContain(folder);
  }
});
