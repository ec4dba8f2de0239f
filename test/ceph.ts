// A real S3 for tests: one Ceph monitor, one object store in memory and one RADOS gateway from Debian's packages, on loopback,
// in a temporary folder. The gateway can be killed, started again, frozen and thawed; nothing else is touched.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import type { StoreLocation } from '../core/store-location.ts';
import { ensureProgram } from './campaign/debian.ts';

const run = promisify(execFile);

/** What the standard chain of credentials takes, for processes on this S3. */
export interface S3Environment {
  readonly AWS_ACCESS_KEY_ID: string;
  readonly AWS_SECRET_ACCESS_KEY: string;
  readonly AWS_EC2_METADATA_DISABLED: 'true';
}

export interface Ceph {
  /** `http://127.0.0.1:18480` */
  readonly endpoint: string;
  readonly bucket: string;
  readonly env: S3Environment;
  /** For EVOKE_STORE. */
  url(prefix?: string): string;
  /** The same as it is read from the setting. */
  location(prefix?: string): Extract<StoreLocation, { kind: 's3' }>;
  /** Of a service whose store it is. */
  envOf(prefix?: string): Record<string, string>;
  /** kill -9; `restartGateway` brings it back on the same port, with everything that was stored. */
  killGateway(): Promise<void>;
  restartGateway(): Promise<void>;
  /** The gateway stays, and answers nobody. */
  freeze(): void;
  thaw(): void;
  stop(): Promise<void>;
}

const bucket = 'events';
const region = 'us-east-1';
const upMsMax = 60_000;

export async function startCeph(): Promise<Ceph> {
  await ensureProgram('radosgw', 'radosgw');
  await ensureProgram('ceph-mon', 'ceph-mon');
  await ensureProgram('ceph-osd', 'ceph-osd');
  await ensureProgram('ceph', 'ceph-common');
  const folder = await mkdtemp(join(tmpdir(), 'evoke-ceph-'));
  const [monitorPort, port] = [await freePort(), await freePort()];
  const endpoint = `http://127.0.0.1:${port}`;
  const id = randomUUID();
  const configuration = join(folder, 'ceph.conf');
  await writeFile(configuration, configurationOf(folder, id, monitorPort, port));
  await writeFile(join(folder, 'keyring'), '');
  for (const part of ['mon', 'osd', 'run']) await mkdir(join(folder, part));

  const running: ChildProcess[] = [];
  const start = (program: string, ...args: string[]): ChildProcess => {
    const log = openSync(join(folder, `${program}.out`), 'a');
    // A test process that is killed takes them with it.
    const command = ['--pdeathsig', 'KILL', program, '-c', configuration, '-f', ...args];
    const child = spawn('setpriv', command, { cwd: folder, stdio: ['ignore', log, log] });
    running.push(child);
    return child;
  };
  const admin = (program: string, ...args: string[]) =>
    run(program, ['-c', configuration, ...args], { cwd: folder, timeout: 20_000 });
  const env: S3Environment = {
    AWS_ACCESS_KEY_ID: `TEST${randomBytes(8).toString('hex').toUpperCase()}`,
    AWS_SECRET_ACCESS_KEY: randomBytes(20).toString('hex'),
    AWS_EC2_METADATA_DISABLED: 'true',
  };
  let gateway: ChildProcess;
  const startGateway = async () => {
    gateway = start('radosgw', '-n', 'client.rgw.a');
    await until(`the gateway answers at ${endpoint}`, async () => (await fetch(endpoint)).ok);
  };
  const stop = async () => {
    // The gateway first: it needs the others to leave in peace, and nobody waits for peace here.
    for (const child of running.reverse()) await end(child);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const map = join(folder, 'monmap');
    await run('monmaptool', ['--create', '--fsid', id, '--addv', 'a', `[v2:127.0.0.1:${monitorPort}]`, map]);
    await admin('ceph-mon', '--mkfs', '-i', 'a', '--monmap', map, '--keyring', join(folder, 'keyring'));
    start('ceph-mon', '-i', 'a');
    const osd = randomUUID();
    await until('the monitor knows the object store', async () => {
      await admin('ceph', '--connect-timeout', '5', 'osd', 'new', osd);
      return true;
    });
    await admin('ceph-osd', '-i', '0', '--mkfs', '--osd-uuid', osd);
    start('ceph-osd', '-i', '0');
    await until('the object store is up', async () => /1 up/.test((await admin('ceph', 'osd', 'stat')).stdout));
    const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } = env;
    await admin(
      ...([
        'radosgw-admin',
        '-n',
        'client.rgw.a',
        'user',
        'create',
        '--uid',
        'test',
        '--display-name',
        'test',
      ] as const),
      ...['--access-key', accessKeyId, '--secret-key', secretAccessKey],
    );
    await startGateway();
    const client = new S3Client({
      endpoint,
      region,
      forcePathStyle: true,
      credentials: { accessKeyId, secretAccessKey },
    });
    await client.send(new CreateBucketCommand({ Bucket: bucket }));
    client.destroy();
  } catch (error) {
    const said = await readFile(join(folder, 'radosgw.out'), 'utf8').catch(() => '');
    await stop();
    throw new Error(`Ceph does not come up: ${error instanceof Error ? error.message : error}\n${said}`);
  }
  const url = (prefix = '') => `s3://${bucket}/${prefix}?endpoint=${endpoint}`;
  return {
    endpoint,
    bucket,
    env,
    url,
    location: (prefix = '') => ({ kind: 's3', bucket, endpoint, region, prefix: prefix.replace(/([^/])$/, '$1/') }),
    envOf: (prefix) => ({ ...env, EVOKE_STORE: url(prefix) }),
    killGateway: () => end(gateway),
    restartGateway: startGateway,
    freeze: () => gateway.kill('SIGSTOP'),
    thaw: () => gateway.kill('SIGCONT'),
    stop,
  };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + upMsMax;
  let last = '';
  while (Date.now() < deadline) {
    try {
      if (await holds()) return;
    } catch (error) {
      last = error instanceof Error ? error.message : String(error);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`not within ${upMsMax / 1000} s: ${what}. ${last}`);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Nothing on disk, no authentication between the parts, one copy, and no patience: up in a second or two. */
function configurationOf(folder: string, id: string, monitorPort: number, port: number): string {
  return `[global]
fsid = ${id}
mon host = v2:127.0.0.1:${monitorPort}
mon initial members = a
public network = 127.0.0.0/8
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
ms bind msgr1 = false
auth cluster required = none
auth service required = none
auth client required = none
auth allow insecure global id reclaim = false
# Without authentication there is no secure mode, which clients want first.
ms mon client mode = crc secure
keyring = ${folder}/keyring
run dir = ${folder}/run
admin socket = ${folder}/run/$name.asok
log file = ${folder}/$name.log
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pgp num = 8
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 2000
mon osd report timeout = 3600
mon data avail crit = 1
mon data avail warn = 1
# Otherwise every change waits a second or two for others to come with it.
paxos propose interval = 0.02
paxos min wait = 0.01
mon tick interval = 1
[mon.a]
host = localhost
mon data = ${folder}/mon
[osd]
osd objectstore = memstore
memstore device bytes = 4294967296
osd data = ${folder}/osd
osd class load list = *
osd class default list = *
[client.rgw.a]
host = localhost
# Without it, small answers wait 40 ms for an acknowledgement that the client delays.
rgw frontends = beast endpoint=127.0.0.1:${port} tcp_nodelay=1
rgw enable apis = s3, admin
rgw enable usage log = false
rgw enable ops log = false
rgw run sync thread = false
rgw rados pool pg num min = 8
rgw dns name = localhost
`;
}
